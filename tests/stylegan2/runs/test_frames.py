"""Frames that are saved while they are drawn, the first picture of a long run, and runs that end while they draw."""

import dataclasses
from pathlib import Path

import pytest
import torch

import stylegan2.runs.search
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import StopRequestedError
from stylegan2 import save
from stylegan2.commands import discover, score
from stylegan2.commands.discover import Options
from stylegan2.runs import frames, plan
from stylegan2.runs.frames import SavedFrames, frames_key
from stylegan2.runs.plan import Pace
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from tests.stylegan2.commands.found_directions import small_generator

SEARCH = DiscoverySettings(num_directions=2, steps=1, batch_size=8, num_span_codes=100, num_probes=16)
PICTURES = PictureSettings(seeds=(0, 1), num_frames=3, num_mixed=0, batch_size=2)
SLOW = Pace(sample_s=1e-3, features_s=1e-2, gradient_s=1e-2, rtd_s=1e-3, image_s=1.0, code_dim=8)


class Store:
    """Keeps what is saved under each name."""

    def __init__(self):
        self.saved = {}

    def load(self, name):
        return self.saved.get(name)

    def save(self, name, tensors, *, complete):
        self.saved[name] = dict(tensors)


class Images:
    """Draws noise of a seed that the codes give, and counts."""

    def __init__(self, side=8):
        self.side, self.num_drawn = side, 0

    def __call__(self, codes):
        self.num_drawn += len(codes)
        rng = torch.Generator().manual_seed(int(codes.sum() * 1000) % 1000)
        return torch.rand((len(codes), 3, self.side, self.side), generator=rng) * 2 - 1


def batches(count=5):
    return [torch.full((2, 4), float(index)) for index in range(count)]


@pytest.mark.parametrize("chunk_bytes", [1, 800, 1 << 20])
def test_what_was_drawn_before_is_taken_and_gives_the_same_bytes(monkeypatch, chunk_bytes):
    monkeypatch.setattr(frames, "_CHUNK_BYTES", chunk_bytes)
    store, images = Store(), Images()
    first = SavedFrames(images, store, "key")
    half = [first(codes) for codes in batches(3)]
    again = SavedFrames(images, store, "key")
    whole = [again(codes) for codes in batches(5)]
    assert (images.num_drawn, again.num_taken) == (10, 6)
    for ours, earlier in zip(whole, half, strict=False):
        assert torch.equal(ours, earlier)
    assert len(SavedFrames(images, store, "other")(batches()[0])) == 2
    assert images.num_drawn == 12


def test_frames_are_the_images_bytes_and_large_ones_are_reduced():
    images = torch.tensor([-1.0, -0.5, 0.0, 1.0]).reshape(1, 1, 2, 2)
    kept = SavedFrames(lambda codes: images, Store(), "key")(torch.zeros(1, 4))
    assert (kept - images).abs().max() <= 1 / 127.5
    assert SavedFrames(Images(side=64), Store(), "key", max_size_px=16)(torch.zeros(1, 4)).shape == (1, 3, 16, 16)


def test_frames_of_another_checkpoint_space_or_truncation_are_not_taken():
    space, facts = LatentSpace(generator=small_generator()), {"checkpoint_sha256": "a"}
    keys = {
        frames_key(space, facts),
        frames_key(space, {"checkpoint_sha256": "b"}),
        frames_key(space.truncated(0.7), facts),
        frames_key(dataclasses.replace(space, noise_mode="none"), facts),
    }
    assert len(keys) == 4


@pytest.fixture
def options(tmp_path: Path) -> Options:
    ckpt = str(save(small_generator(), tmp_path / "small.safetensors"))
    return Options(ckpt=ckpt, out=tmp_path / "run", search=SEARCH, pictures=PICTURES, device="cpu")


@pytest.fixture
def drawn(monkeypatch) -> list[int]:
    """The size of every batch of images that is drawn; the frames are saved after each."""
    sizes: list[int] = []
    images = LatentSpace.images

    def counted(space: LatentSpace, codes: torch.Tensor) -> torch.Tensor:
        sizes.append(len(codes))
        return images(space, codes)

    monkeypatch.setattr(LatentSpace, "images", counted)
    monkeypatch.setattr(stylegan2.runs.search, "SAVE_INTERVAL_S", 0.0)
    monkeypatch.setattr(plan, "measure_pace", lambda *_: dataclasses.replace(SLOW, image_s=1e-6))
    return sizes


def killed_after(monkeypatch, num_batches: int) -> None:
    """The process ends while the batch after `num_batches` is drawn."""
    images, done = LatentSpace.images, 0

    def failing(space: LatentSpace, codes: torch.Tensor) -> torch.Tensor:
        nonlocal done
        done += 1
        if done > num_batches:
            raise KeyboardInterrupt
        return images(space, codes)

    monkeypatch.setattr(LatentSpace, "images", failing)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in {".png", ".webp", ".html"}
    }


def test_a_run_killed_while_it_draws_draws_the_rest_and_writes_the_same_files(options, drawn, monkeypatch, tmp_path):
    discover.run(dataclasses.replace(options, out=tmp_path / "whole" / "run"))
    num_images = sum(drawn)
    drawn.clear()
    with monkeypatch.context() as patch:
        killed_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            discover.run(options)
    before = sum(drawn)
    drawn.clear()
    discover.run(options)
    assert 0 < before < num_images == before + sum(drawn)
    assert files_of(options.folder) == files_of(tmp_path / "whole" / "run")
    assert not list((options.folder / "checkpoints").glob("partial_*"))


def test_a_stopped_scoring_resumes_where_it_stopped(options, drawn, monkeypatch):
    for name, count in {"_NUM_CLOUDS": 3, "_NUM_RANDOM": 4}.items():
        monkeypatch.setattr(f"stylegan2.runs.scores.{name}", count)
    discover.run(options)
    scoring = score.Options(run=options.folder, reconstructor=False)
    judged: list[int] = []
    features, last_judged = LatentSpace.features, 10**9

    def counted(space: LatentSpace, codes: torch.Tensor) -> torch.Tensor:
        judged.append(len(codes))
        if len(judged) > last_judged:
            raise KeyboardInterrupt
        return features(space, codes)

    monkeypatch.setattr(LatentSpace, "features", counted)
    drawn.clear()
    score.run(scoring)
    expected, num_judged, num_images = Directions.load(options.folder).metadata, len(judged), sum(drawn)

    judged.clear()
    last_judged = num_judged // 2
    with pytest.raises(KeyboardInterrupt):
        score.run(scoring)
    judged.clear(), drawn.clear()
    last_judged = 10**9
    with monkeypatch.context() as patch:
        killed_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            score.run(scoring)
    assert len(judged) < num_judged
    num_drawn = sum(drawn)
    score.run(scoring)
    assert Directions.load(options.folder).metadata == expected
    assert 0 < num_drawn < num_images == sum(drawn)
    assert not list((options.folder / "checkpoints").glob("partial_*"))


def test_ctrl_c_while_drawing_saves_the_frames(options, drawn, monkeypatch):
    class Interrupted:
        requested = True

        def stop(self, message):
            raise StopRequestedError(message)

    save_frames = SavedFrames._save

    def interrupt(frames, name, tensors):
        frames._store._interrupt = Interrupted()
        save_frames(frames, name, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(frames.SavedFrames, "_save", interrupt)
        with pytest.raises(StopRequestedError, match="the same command resumes"):
            discover.run(options)
    assert list((options.folder / "checkpoints").glob("partial_frames_*"))


@pytest.mark.parametrize(("image_s", "rows"), [(1.0, 2), (100.0, 1)])
def test_a_long_run_shows_a_picture_before_the_search(options, monkeypatch, image_s, rows):
    monkeypatch.setattr(plan, "_LONG_S", 0.0)
    monkeypatch.setattr(plan, "measure_pace", lambda *_: dataclasses.replace(SLOW, image_s=image_s))
    shown = []
    sheets = frames.draw_overview

    def overview(frames, labels, *arguments, **more):
        shown.append((len(labels), (options.folder / "scores.json").exists()))
        return sheets(frames, labels, *arguments, **more)

    monkeypatch.setattr(frames, "draw_overview", overview)
    steps = []
    monkeypatch.setattr(
        stylegan2.runs.search.SearchRun,
        "_take_steps",
        lambda run, search: steps.append((options.folder / "preview.png").stat().st_size > 0),
    )
    discover.run(options)
    assert shown == [(rows, False)]
    assert steps == [True]
    assert not (options.folder / "preview.png").exists()


def test_a_short_run_has_no_such_picture(options, monkeypatch):
    monkeypatch.setattr(frames, "draw_overview", lambda *_, **__: pytest.fail("a preview was drawn"))
    discover.run(options)
