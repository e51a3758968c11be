"""A run folder of `discover` after damage, kills, and starts that fail: reported, made again, nothing lost."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

import stylegan2.runs.search as command
from ganspace_topdis import program
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed
from ganspace_topdis.runs.records import read_run
from ganspace_topdis.traversal.names import DirectionName, read_names, write_names
from stylegan2 import save
from stylegan2.commands.discover import Options
from stylegan2.runs import plan
from stylegan2.runs.pictures import source_of
from stylegan2.settings import PictureSettings
from tests.stylegan2.commands.found_directions import discover, small_generator

SEARCH = DiscoverySettings(num_directions=3, steps=3, whole_steps=1, batch_size=8, num_span_codes=100, num_probes=64)
PICTURES = PictureSettings(seeds=(0,), num_frames=3, num_mixed=0)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    ckpt = save(small_generator(), tmp_path_factory.mktemp("ckpt") / "small.safetensors")
    return Options(ckpt=str(ckpt), search=SEARCH, space="s", pictures=PICTURES, device="cpu")


@pytest.fixture(scope="module")
def finished(options: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a checkpoint before its last."""
    discover(options, (folder := tmp_path_factory.mktemp("finished")) / "run")
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it for a test of its own."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


def contents(run: Path) -> dict[str, bytes]:
    """The results and the last checkpoint."""
    names = ("directions.safetensors", "scores.json", "metrics.jsonl", "checkpoints/step_000000005.safetensors")
    pictures = [str(path.relative_to(run)) for path in run.rglob("*") if path.suffix in (".png", ".webp", ".html")]
    where = str(run).encode()  # the page holds a command that names the folder
    return {name: (run / name).read_bytes().replace(where, b"RUN") for name in (*names, *sorted(pictures))}


@pytest.mark.parametrize("name", ["scores.json", "directions.safetensors"])
def test_a_damaged_result_is_reported_made_again_and_kept_aside(run: Path, options: Options, name: str) -> None:
    before = contents(run)
    damage(run / name)
    damaged = (run / name).read_bytes()
    with pytest.warns(UserWarning, match=f"{name}.* kept as {name}.aside"):
        discover(options, run)
    assert contents(run) == before
    assert (run / f"{name}.aside").read_bytes() == damaged


@pytest.mark.parametrize("name", ["scores.json", "directions.safetensors"])
def test_a_result_that_is_gone_is_made_again(run: Path, options: Options, name: str) -> None:
    before = contents(run)
    (run / name).unlink()
    discover(options, run)
    assert contents(run) == before


def test_a_damaged_last_checkpoint_is_made_again_and_the_directions_stand(run: Path, options: Options) -> None:
    before = contents(run)
    damage(run / "checkpoints/step_000000005.safetensors")
    with pytest.warns(UserWarning, match="going on from step 4 before it"):
        discover(options, run)
    assert contents(run) == before
    assert read_run(run).status.state == "finished"  # type: ignore[union-attr]


def test_without_any_whole_checkpoint_the_directions_stand_and_it_is_said(run: Path, options: Options) -> None:
    before = contents(run)
    for path in (run / "checkpoints").glob("step_*"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="the directions do not depend on it"):
        discover(options, run)
    assert (run / "directions.safetensors").read_bytes() == before["directions.safetensors"]


def test_damaged_metrics_are_reported(run: Path, options: Options) -> None:
    damage(run / "metrics.jsonl")
    with pytest.warns(UserWarning, match=r"metrics\.jsonl is damaged"):
        discover(options, run)


def test_judging_goes_on_within_its_clouds_and_ends_the_same(
    run: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SAVE_INTERVAL_S", 0.0)
    num_clouds, whole = 0, command.LatentSpace.features

    class KilledError(BaseException):
        pass

    def features(space: command.LatentSpace, codes: torch.Tensor) -> torch.Tensor:
        nonlocal num_clouds
        num_clouds += not torch.is_grad_enabled()
        if num_clouds == stop_at:
            raise KilledError
        return whole(space, codes)

    monkeypatch.setattr(command.LatentSpace, "features", features)
    at_once = plan.Pace(**{field.name: 0 for field in dataclasses.fields(plan.Pace)})
    monkeypatch.setattr(plan, "measure_pace", lambda *_: at_once)  # its clouds are not judged
    counts, stopped = [], tmp_path / "again" / run.name  # its name is on the pictures
    for stop_at in (None, 40, 300):  # in the comparisons before and after the last steps
        num_clouds = 0
        if stop_at is None:
            discover(options, tmp_path / "counted")
        else:
            with pytest.raises(KilledError):
                discover(options, stopped)
        counts.append(num_clouds)
    stop_at, num_clouds = -1, 0
    discover(options, stopped)
    # a stop costs the cloud that was under way, its batch's, a partner's, and two of the amounts; one in a comparison
    # 13 for the amounts and as many for the cloud: a batch, and two for each of three directions before and after
    assert sum(counts[1:]) + num_clouds <= counts[0] + 2 * 26
    assert contents(stopped) == contents(run)
    assert not list((stopped / "checkpoints").glob("partial_*"))


def test_a_search_that_another_version_began_is_not_continued(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command.Discovery, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            discover(options, tmp_path / "run")
    (path,) = (tmp_path / "run/checkpoints").glob("step_*.safetensors")
    before = path.read_bytes()
    monkeypatch.setattr(command.Discovery, "resume", lambda *_, **__: {}["stages"])
    with pytest.raises(CheckpointError, match=r"begun by another version of topdis-gan, .* give another `out`"):
        discover(options, tmp_path / "run")
    assert path.read_bytes() == before


BAD_NAMES = ["{", "[" * 100_000, '{"format": "topdis-gan names", "directions": {"3": {"name": "x"}}}']


@pytest.mark.parametrize("text", BAD_NAMES)
def test_bad_names_are_refused_before_the_search_and_nothing_is_written(
    options: Options, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "names.json").write_text(text)
    monkeypatch.setattr(command.SearchRun, "_take_steps", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(InvalidArgumentError, match="names"):
        discover(dataclasses.replace(options, names=tmp_path / "names.json"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_names_of_more_directions_than_the_span_has_are_refused_before_the_search(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_names(tmp_path / "names.json", {99: DirectionName(name="x")})
    monkeypatch.setattr(command.SearchRun, "_take_steps", lambda *_: pytest.fail("a step was taken"))
    search = dataclasses.replace(SEARCH, num_directions=None)
    with pytest.raises(InvalidArgumentError, match="names direction 99"):
        discover(dataclasses.replace(options, search=search, names=tmp_path / "names.json"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


MISFITS = [
    {"search": dataclasses.replace(SEARCH, num_directions=50)},
    {"pictures": dataclasses.replace(PICTURES, truncation_cutoff=99)},
    {"features": 12},
    {"layers": "5", "method": "sefa"},
]


def test_options_that_do_not_fit_write_nothing_and_the_corrected_command_just_runs(
    options: Options, tmp_path: Path
) -> None:
    for changes in MISFITS:
        with pytest.raises(InvalidArgumentError):
            discover(dataclasses.replace(options, **changes), tmp_path / "deep" / "run")
        assert not (tmp_path / "deep").exists()
    discover(options, tmp_path / "deep" / "run")


def test_a_seed_that_no_generator_of_numbers_takes_is_refused_before_the_search() -> None:
    with pytest.raises(InvalidArgumentError, match="numbers from 0 to"):
        PictureSettings(seeds=(2**64,))
    for seed in (-1, 2**32):
        with pytest.raises(InvalidArgumentError, match=r"`seed` is"):
            DiscoverySettings(seed=seed)


def test_a_start_is_given_in_one_way() -> None:
    search = DiscoverySettings(initialization="random")
    with pytest.raises(InvalidArgumentError, match="`refine` is where the search starts; leave `initialization` out"):
        Options(refine="ganspace", search=search)


def test_the_hessian_penalty_in_the_span_takes_no_length_of_shifts() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`shift` is 3.0, but must be left out: `method` hessian"):
        DiscoverySettings(method="hessian", search_in="span", shift=3.0)
    assert DiscoverySettings(method="hessian", shift=3.0).shift == 3.0


def test_given_names_do_not_replace_others(run: Path, options: Options, tmp_path: Path) -> None:
    source = source_of(Directions.load(run))
    write_names(run / "names.json", {0: DirectionName(name="mine")}, source=source)
    write_names(tmp_path / "given.json", {1: DirectionName(name="given")}, source=source)
    given = dataclasses.replace(options, names=tmp_path / "given.json")
    with pytest.warns(UserWarning, match=r"kept as names\.json\.aside"):
        discover(given, run)
    discover(given, run)
    assert read_names(run / "names.json") == {1: DirectionName(name="given")}
    assert read_names(run / "names.json.aside") == {0: DirectionName(name="mine")}


def test_damaged_names_in_the_folder_are_reported_and_the_pictures_drawn(run: Path, options: Options) -> None:
    (run / "names.json").write_text("{")
    with pytest.warns(UserWarning, match="no names are shown"):
        discover(options, run)
    assert (run / "names.json").read_text() == "{"


FAULTS = {
    "vectors of another width": ({"vectors": torch.zeros(3, 9)}, {}),
    "readouts of another number": ({"readouts": torch.zeros(2, 8)}, {}),
    "scales of another number": ({"scales": torch.zeros(2)}, {}),
    "a mean of two dimensions": ({"mean": torch.zeros(1, 8)}, {}),
    "no direction": ({"vectors": torch.zeros(0, 8), "readouts": torch.zeros(0, 8)}, {}),
    "integers": ({"vectors": torch.zeros(3, 8, dtype=torch.int64)}, {}),
    "NaN": ({"mean": torch.full((8,), float("nan"))}, {}),
    "a space that is a number": ({}, {"space": 3}),
    "layers of text": ({}, {"layers": ["a"]}),
    "a hash that is a list": ({}, {"checkpoint_sha256": []}),
    "scores of another number": ({}, {"score": [1.0]}),
    "scores of text": ({}, {"effect": ["a", "b", "c"]}),
}


@pytest.mark.parametrize(("tensors", "facts"), FAULTS.values(), ids=FAULTS.keys())
def test_compare_and_export_refuse_directions_of_wrong_types_and_shapes_by_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tensors: dict, facts: dict
) -> None:
    found, description = load_checksummed(run / "directions.safetensors")
    description["metadata"] |= facts
    save_checksummed(tmp_path / "bad.safetensors", {**found, **tensors}, description)
    commands = [["export", "--to", "json", str(tmp_path / "bad.safetensors")]]
    commands += [["export", "--to", "npy", str(tmp_path / "bad.safetensors"), "--ckpt", "x"]]
    commands += [["compare", str(run), str(tmp_path / "bad.safetensors")]]
    for arguments in commands:
        with pytest.raises(SystemExit) as left:
            program.main(arguments)
        error = capsys.readouterr().err
        assert left.value.code == 1
        assert error.count("\n") == 1
        assert "bad.safetensors holds no usable directions" in error


def test_compare_and_export_refuse_damaged_directions_by_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(run / "directions.safetensors")
    for arguments in (["export", str(run), "--to", "json"], ["compare", str(run), str(run.parent)]):
        with pytest.raises(SystemExit) as left:
            program.main(arguments)
        assert left.value.code == 1
        assert "directions.safetensors" in capsys.readouterr().err


def test_a_run_that_names_no_checkpoint_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((run / "config.json").read_text())
    config["config"]["ckpt"] = ["a"]
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit) as left:
        program.main(["export", str(run), "--to", "npy"])
    assert left.value.code == 1
    assert "does not name its checkpoint" in capsys.readouterr().err
    (run / "config.json").write_text(json.dumps({**config, "command": "train-vae"}))
    with pytest.raises(SystemExit):
        program.main(["export", str(run), "--to", "npy"])
    assert "is a run of train-vae and has no generator; `topdis-gan evaluate-vae" in capsys.readouterr().err


def test_a_factor_file_of_another_checkpoint_is_refused(options: Options, tmp_path: Path) -> None:
    discover(dataclasses.replace(options, method="ganspace", space="w"), run := tmp_path / "run")
    other = save(small_generator(seed=3), tmp_path / "other.safetensors")
    with pytest.raises(SystemExit) as left:
        program.main(["export", str(run), "--to", "rosinality", "--ckpt", str(other)])
    assert left.value.code == 1
