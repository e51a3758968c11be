import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.frames import traverse
from ganspace_topdis.traversal.labels import default_labels
from ganspace_topdis.traversal.walks import Walks, walk


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def walks(paint: Any, axes: Any, codes: torch.Tensor) -> Walks:
    return walk(paint(), codes, axes, labels=[default_labels(3)[index] for index in (2, 0)], num_steps=5)


def test_walks_are_the_frames_of_traverse(walks: Walks, paint: Any, axes: Any, codes: torch.Tensor) -> None:
    assert walks.frames.shape == (2, 2, 5, 8, 8, 3)
    np.testing.assert_array_equal(walks.of(0).frames[0], traverse(paint(), codes, axes, index=0, num_steps=5))


def test_a_notebook_shows_a_picture_of_all_and_another_of_one(walks: Walks) -> None:
    sizes = []
    for shown in (walks, walks.of(2)):
        with Image.open(io.BytesIO(shown._repr_png_())) as picture:
            assert picture.format == "PNG"
            sizes.append(picture.size)
    assert sizes[0] != sizes[1]


def test_the_text_says_what_is_there(walks: Walks) -> None:
    assert repr(walks) == "Walks(2 directions, 2 seeds, 5 steps, 8 x 8 px, to ±3 standard deviations)"


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_one_direction_is_written_as_its_suffix_says(walks: Walks, tmp_path: Path, suffix: str) -> None:
    with Image.open(walks.of(2).save(tmp_path / f"walk.{suffix}")) as picture:
        assert picture.format == suffix.upper()
        assert getattr(picture, "n_frames", 1) == (1 if suffix == "png" else 8)


def test_what_cannot_be_shown_is_refused(
    walks: Walks, paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="direction 1 was not drawn; there are 2, 0"):
        walks.of(1)
    with pytest.raises(InvalidArgumentError, match="one direction"):
        walks.save(tmp_path / "walk.gif")
    with pytest.raises(InvalidArgumentError, match=r"allowed are \.png"):
        walks.save(tmp_path / "walk.mp4")
    with pytest.raises(InvalidArgumentError, match="each needs one"):
        walk(paint(), codes, axes, seeds=["only one"])
