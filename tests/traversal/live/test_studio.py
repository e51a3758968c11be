import io
import time
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.live.desk import StaleError
from ganspace_topdis.traversal.live.questions import FramesQuestion, FrameState
from ganspace_topdis.traversal.live.studio import LiveModel, Studio


def code_of_seed(seed: int, psi: float) -> torch.Tensor:
    return psi * torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))


def drawing(generate: Any) -> Any:
    return lambda codes, psi: generate(codes)


@pytest.fixture
def studio(paint: Any, axes: Any) -> Studio:
    return Studio(LiveModel(generate=drawing(paint()), directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))


def question(*states: FrameState, **fields: Any) -> FramesQuestion:
    plain = {"page": "p", "channel": "view", "number": 1, "psi": 1.0, "layers": None}
    return FramesQuestion(**{**plain, **fields}, states=states)


def opened(image: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(image)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_frames_are_the_generators_own_moved_by_all_shifts(studio: Studio, paint: Any) -> None:
    states = FrameState(seed=4, shifts={}), FrameState(seed=4, shifts={0: 1.0, 2: -0.5})
    pixels = opened(studio.draw(question(*states, psi=0.5)))
    code = code_of_seed(4, 0.5)
    expected = to_uint8(paint()(torch.cat([code, code + torch.tensor([1.0, 0.0, -0.5])])))
    np.testing.assert_array_equal(pixels, np.concatenate(list(expected), axis=1))


def test_more_frames_than_one_turn_draws_are_in_order(studio: Studio) -> None:
    states = [FrameState(seed=seed, shifts={}) for seed in range(11)]
    whole = opened(studio.draw(question(*states, channel="film")))
    for place, state in enumerate(states):
        alone = opened(studio.draw(question(state, channel="ends")))
        np.testing.assert_array_equal(whole[:, 8 * place : 8 * place + 8], alone)


def test_the_generator_is_told_the_truncation(axes: Any) -> None:
    seen: list[float] = []

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        seen.append(psi)
        return torch.zeros(len(codes), 3, 4, 4)

    model = LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(4, 4))
    Studio(model).draw(question(FrameState(seed=0, shifts={}), psi=0.25))
    assert seen == [0.25]


def test_chosen_layers_move_alone(axes: Any) -> None:
    seen: list[torch.Tensor] = []

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        seen.append(codes)
        return torch.zeros(len(codes), 3, 4, 4)

    model = LiveModel(
        generate=generate,
        directions=axes,
        code_of_seed=lambda seed, psi: torch.zeros(1, 5, 3),
        image_px=(4, 4),
        num_layers=5,
    )
    Studio(model).draw(question(FrameState(seed=0, shifts={1: 2.0}), layers=(0, 3)))
    assert seen[0][0, :, 1].tolist() == [2, 0, 0, 2, 0]


def test_a_newer_question_stops_the_rest_of_an_older_one(axes: Any, paint: Any) -> None:
    draw = paint()

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        images = draw(codes)
        if len(draw.batches) == 1:
            studio.draw_newer()
        return images

    class Interrupted(Studio):
        def draw_newer(self) -> None:
            self._desk.take_ticket(("p", "film"), 2, urgent=False)

    studio = Interrupted(LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))
    with pytest.raises(StaleError):
        studio.draw(question(*[FrameState(seed=seed, shifts={}) for seed in range(12)], channel="film"))
    assert sum(draw.batches) == 1


def test_a_slow_generator_gives_the_turn_away_after_each_frame(axes: Any, paint: Any) -> None:
    draw = paint()

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        time.sleep(0.03)
        return draw(codes)

    studio = Studio(LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))
    studio.draw(question(*[FrameState(seed=seed, shifts={}) for seed in range(4)], channel="film"))
    assert draw.batches == [1, 1, 1, 1]


def test_large_images_are_reduced_for_small_places(paint: Any, axes: Any) -> None:
    model = LiveModel(
        generate=drawing(paint(3, 256, 128)), directions=axes, code_of_seed=code_of_seed, image_px=(256, 128)
    )
    studio = Studio(model)
    assert (studio.size("view"), studio.size("film")) == ((128, 256), (48, 96))
    assert opened(studio.draw(question(FrameState(seed=0, shifts={}), channel="film"))).shape == (96, 48, 3)
