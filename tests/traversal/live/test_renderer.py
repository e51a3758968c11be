import io
import json
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.live.renderer import LiveModel, Renderer, RequestQueue, StaleError
from ganspace_topdis.traversal.live.requests import FramesRequest, FrameState, NameChange, read_frames, read_name
from ganspace_topdis.traversal.names import DirectionName

STATE = {"seed": 3, "shifts": {"1": -1.5}}
REQUEST = {"page": "p", "channel": "view", "number": 7, "psi": 0.5, "layers": [0, 2], "states": [STATE]}


def asked(**fields: Any) -> FramesRequest:
    return read_frames(json.dumps({**REQUEST, **fields}).encode(), num_directions=2, num_layers=4, extent=3.0)


def test_every_field_of_a_request_is_parsed() -> None:
    assert asked() == FramesRequest(
        page="p",
        channel="view",
        number=7,
        psi=0.5,
        layers=(0, 2),
        states=(FrameState(seed=3, shifts={1: -1.5}),),
    )
    assert asked(layers=None).layers is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": "x" * 65},
        {"page": 1},
        {"channel": "disk"},
        {"channel": ["view"]},
        {"number": -1},
        {"number": True},
        {"number": 2**60},
        {"psi": 1.1},
        {"psi": "0"},
        {"psi": None},
        {"layers": [4]},
        {"layers": "0-3"},
        {"layers": [True]},
        {"states": []},
        {"states": [STATE] * 65},
        {"states": [{"seed": 3}]},
        {"states": [{"seed": -1, "shifts": {}}]},
        {"states": [{"seed": 2**32, "shifts": {}}]},
        {"states": [{"seed": 1.5, "shifts": {}}]},
        {"states": [{"seed": 1, "shifts": {"2": 0}}]},
        {"states": [{"seed": 1, "shifts": {"01": 0}}]},
        {"states": [{"seed": 1, "shifts": {"0": 3.1}}]},
        {"states": [{"seed": 1, "shifts": {"0": float("nan")}}]},
        {"states": [{"seed": 1, "shifts": [0]}]},
        {"more": 1},
    ],
)
def test_a_field_out_of_range_or_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        asked(**wrong)


@given(st.binary(max_size=60) | st.just(b"[" * 50_000))
def test_arbitrary_bytes_are_parsed_or_refused_with_a_typed_error(body: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read_frames(body, num_directions=2, num_layers=4, extent=3.0)
    with pytest.raises(InvalidArgumentError):
        read_name(body, num_directions=2)


def test_layers_of_codes_without_layers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="layers"):
        read_frames(json.dumps(REQUEST).encode(), num_directions=2, num_layers=None, extent=3.0)


def test_a_name_is_cleaned_like_names_in_files() -> None:
    change = read_name(json.dumps({"index": 1, "name": " two \n words", "starred": True}).encode(), num_directions=2)
    assert change == NameChange(index=1, name=DirectionName(name="two words", starred=True))


@pytest.mark.parametrize("wrong", [{"index": 2}, {"index": "1"}, {"name": 3}, {"starred": 1}])
def test_a_wrong_name_is_refused(wrong: dict[str, Any]) -> None:
    fields = {"index": 1, "name": "a", "starred": True, **wrong}
    with pytest.raises(InvalidArgumentError):
        read_name(json.dumps(fields).encode(), num_directions=2)


QUEUE = ("page", "view")


def started(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    return thread


def test_only_the_newest_of_many_waiting_requests_is_drawn() -> None:
    queue, drawn, stale = RequestQueue(), [], []

    def ask(number: int) -> None:
        request = queue.add(QUEUE, number, urgent=True)
        try:
            with queue.turn(request):
                drawn.append(number)
        except StaleError:
            stale.append(number)

    with queue.turn(queue.add(("other", "view"), 1, urgent=True)):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 21)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join(timeout=10)
    assert drawn == [20]
    assert sorted(stale) == list(range(1, 20))


def test_turns_never_overlap() -> None:
    queue, inside, most = RequestQueue(), 0, 0

    def ask(page: int) -> None:
        nonlocal inside, most
        with queue.turn(queue.add((str(page), "view"), 1, urgent=page % 2 == 0)):
            inside += 1
            most = max(most, inside)
            time.sleep(0.005)
            inside -= 1

    threads = [threading.Thread(target=ask, args=(page,)) for page in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == 1


def test_an_urgent_request_precedes_requests_that_wait_longer() -> None:
    queue, order = RequestQueue(), []

    def ask(name: str, urgent: bool) -> None:
        with queue.turn(queue.add((name, "c"), 1, urgent=urgent)):
            order.append(name)

    with queue.turn(queue.add(("first", "c"), 1, urgent=True)):
        threads = [started(lambda: ask("film", False)), started(lambda: ask("view", True))]
    for thread in threads:
        thread.join(timeout=10)
    assert order == ["view", "film"]


def test_a_request_becomes_stale_between_its_turns() -> None:
    queue = RequestQueue()
    old = queue.add(QUEUE, 1, urgent=False)
    with queue.turn(old):
        pass
    queue.add(QUEUE, 2, urgent=False)
    with pytest.raises(StaleError), queue.turn(old):
        pass


def test_an_older_request_that_arrives_late_is_stale_at_once() -> None:
    queue = RequestQueue()
    queue.add(QUEUE, 5, urgent=True)
    with pytest.raises(StaleError), queue.turn(queue.add(QUEUE, 4, urgent=True)):
        pass


def test_the_next_request_is_drawn_after_a_failed_turn() -> None:
    queue = RequestQueue()
    with pytest.raises(ValueError, match="no"), queue.turn(queue.add(QUEUE, 1, urgent=True)):
        raise ValueError("no")
    with queue.turn(queue.add(QUEUE, 2, urgent=True)):
        pass


def test_a_closed_queue_waits_for_the_current_turn_and_refuses_requests() -> None:
    queue, log = RequestQueue(), []
    entered = threading.Event()

    def ask() -> None:
        with queue.turn(queue.add(QUEUE, 1, urgent=True)):
            entered.set()
            time.sleep(0.1)
            log.append("drawn")

    thread = started(ask)
    entered.wait(10)
    queue.close()
    log.append("closed")
    thread.join(timeout=10)
    assert log == ["drawn", "closed"]
    with pytest.raises(StaleError), queue.turn(queue.add(QUEUE, 2, urgent=True)):
        pass


def code_of_seed(seed: int, psi: float) -> torch.Tensor:
    return psi * torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))


def drawing(generate: Any) -> Any:
    return lambda codes, psi: generate(codes)


@pytest.fixture
def renderer(paint: Any, axes: Any) -> Renderer:
    return Renderer(LiveModel(generate=drawing(paint()), directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))


def frames_request(*states: FrameState, **fields: Any) -> FramesRequest:
    plain = {"page": "p", "channel": "view", "number": 1, "psi": 1.0, "layers": None}
    return FramesRequest(**{**plain, **fields}, states=states)


def opened(image: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(image)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_frames_are_the_generators_images_of_the_shifted_codes(renderer: Renderer, paint: Any) -> None:
    states = FrameState(seed=4, shifts={}), FrameState(seed=4, shifts={0: 1.0, 2: -0.5})
    pixels = opened(renderer.draw(frames_request(*states, psi=0.5)))
    code = code_of_seed(4, 0.5)
    expected = to_uint8(paint()(torch.cat([code, code + torch.tensor([1.0, 0.0, -0.5])])))
    np.testing.assert_array_equal(pixels, np.concatenate(list(expected), axis=1))


def test_more_frames_than_one_turn_draws_are_in_order(renderer: Renderer) -> None:
    states = [FrameState(seed=seed, shifts={}) for seed in range(11)]
    whole = opened(renderer.draw(frames_request(*states, channel="film")))
    for place, state in enumerate(states):
        alone = opened(renderer.draw(frames_request(state, channel="ends")))
        np.testing.assert_array_equal(whole[:, 8 * place : 8 * place + 8], alone)


def test_the_generator_receives_the_truncation(axes: Any) -> None:
    seen: list[float] = []

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        seen.append(psi)
        return torch.zeros(len(codes), 3, 4, 4)

    model = LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(4, 4))
    Renderer(model).draw(frames_request(FrameState(seed=0, shifts={}), psi=0.25))
    assert seen == [0.25]


def test_only_the_chosen_layers_are_shifted(axes: Any) -> None:
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
    Renderer(model).draw(frames_request(FrameState(seed=0, shifts={1: 2.0}), layers=(0, 3)))
    assert seen[0][0, :, 1].tolist() == [2, 0, 0, 2, 0]


def test_a_newer_request_stops_the_rest_of_an_older_one(axes: Any, paint: Any) -> None:
    draw = paint()

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        images = draw(codes)
        if len(draw.batches) == 1:
            renderer.draw_newer()
        return images

    class Interrupted(Renderer):
        def draw_newer(self) -> None:
            self._queue.add(("p", "film"), 2, urgent=False)

    renderer = Interrupted(LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))
    with pytest.raises(StaleError):
        renderer.draw(frames_request(*[FrameState(seed=seed, shifts={}) for seed in range(12)], channel="film"))
    assert sum(draw.batches) == 1


def test_a_slow_generator_yields_its_turn_after_each_frame(axes: Any, paint: Any) -> None:
    draw = paint()

    def generate(codes: torch.Tensor, psi: float) -> torch.Tensor:
        time.sleep(0.03)
        return draw(codes)

    renderer = Renderer(LiveModel(generate=generate, directions=axes, code_of_seed=code_of_seed, image_px=(8, 8)))
    renderer.draw(frames_request(*[FrameState(seed=seed, shifts={}) for seed in range(4)], channel="film"))
    assert draw.batches == [1, 1, 1, 1]


def test_large_images_are_reduced_for_thumbnails(paint: Any, axes: Any) -> None:
    model = LiveModel(
        generate=drawing(paint(3, 256, 128)), directions=axes, code_of_seed=code_of_seed, image_px=(256, 128)
    )
    renderer = Renderer(model)
    assert [renderer.size(channel) for channel in ("view", "film", "ends")] == [(128, 256), (128, 256), (48, 96)]
    assert opened(renderer.draw(frames_request(FrameState(seed=0, shifts={}), channel="ends"))).shape == (96, 48, 3)
