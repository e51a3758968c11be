import base64
import io

import numpy as np
import pytest
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.strips import encode_strips

PREFIX = "data:image/webp;base64,"


def noise(count: int, num_frames: int, size: int, num_channels: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, num_frames, size // 4, size // 4, num_channels), dtype=np.uint8)
    return list(coarse.repeat(4, axis=2).repeat(4, axis=3))


def opened(uri: str) -> np.ndarray:
    assert uri.startswith(PREFIX)
    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(PREFIX)))) as image:
        return np.asarray(image)


def test_small_frames_are_kept_to_the_bit_when_there_is_room() -> None:
    walks = noise(3, 5, 32)
    strips = encode_strips(walks, budget_bytes=1_000_000)
    assert (strips.width, strips.height) == (32, 32)
    for walk, uri in zip(walks, strips.uris, strict=True):
        np.testing.assert_array_equal(opened(uri), np.concatenate(list(walk), axis=1))


def test_frames_shrink_until_they_fit_the_budget() -> None:
    walks = noise(8, 9, 128)
    generous = encode_strips(walks, budget_bytes=5_000_000)
    for budget in (400_000, 100_000, 30_000):
        strips = encode_strips(walks, budget_bytes=budget)
        assert sum(map(len, strips.uris)) <= budget
        assert opened(strips.uris[0]).shape == (strips.height, 9 * strips.width, 3)
    assert strips.width < generous.width


def test_frames_are_reduced_without_bleeding_into_their_neighbours() -> None:
    walk = np.zeros((2, 64, 64, 3), np.uint8)
    walk[1] = 255
    strips = encode_strips([walk], budget_bytes=1_000_000, max_size_px=16)
    pixels = opened(strips.uris[0])
    assert (pixels[:, :16] == 0).all()
    assert (pixels[:, 16:] == 255).all()


def test_one_side_may_be_longer() -> None:
    strips = encode_strips([np.zeros((3, 64, 32, 3), np.uint8)], budget_bytes=100_000, max_size_px=32)
    assert (strips.width, strips.height) == (16, 32)


@pytest.mark.parametrize(("num_channels", "decoded"), [(1, 3), (3, 3), (4, 4)])
def test_grey_and_transparent_frames_keep_their_look(num_channels: int, decoded: int) -> None:
    walk = noise(1, 3, 32, num_channels)[0]
    walk[..., -1] |= 1  # a fully transparent pixel may lose its colour
    pixels = opened(encode_strips([walk], budget_bytes=1_000_000).uris[0])
    expected = np.concatenate(list(walk), axis=1)
    assert pixels.shape[2] == decoded
    np.testing.assert_array_equal(pixels, expected if decoded == num_channels else expected.repeat(3, 2))


def test_strips_never_grow_beyond_what_the_format_holds() -> None:
    strips = encode_strips([np.zeros((40, 512, 512, 3), np.uint8)], budget_bytes=1_000_000)
    assert 40 * strips.width <= 16383


def test_what_cannot_fit_is_refused_with_advice() -> None:
    with pytest.raises(InvalidArgumentError, match="fewer seeds"):
        encode_strips(noise(8, 9, 64), budget_bytes=1_000)
