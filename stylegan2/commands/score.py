"""`topdis-gan score`: how good the directions of a run are, against known factors where there are any.

judge anew on fresh codes -> order by effect / RTD -> what each direction changes, against known factors ->
can a network tell the directions apart -> do other seeds agree -> save, and draw pictures and page again

Generators of scenes come with a network that reads their factors; for another one such a network is given with
`--factors`. Scores of single directions are columns of the run's table, those of the whole stand under "scores".
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.discovery.api import judged
from ganspace_topdis.discovery.held_out import HeldOut, judge_held_out
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.consistency import agreement_of_each
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.protocol import Labelled, encoder_protocol
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.evaluation.rescoring import noise_floor, oracle, rescore
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.allocator import reuse_freed_memory
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.folder import RunFolder, read_run
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.names import NAMES_FILE, write_names
from stylegan2.commands.found import checkpoint_of_run, require_same_checkpoint
from stylegan2.commands.known_factors import factor_network_for, makes_scenes
from stylegan2.commands.pictures import PictureOptions, draw_run, names_of, source_of
from stylegan2.loading import load, locate
from stylegan2.ops.kept import weights_stay
from stylegan2.space import LatentSpace

__all__ = ["ScoreOptions", "score"]

Scores = tuple[dict[str, Any], dict[str, Any]]
"""Columns (a list of K numbers each), and scores of the whole."""

_NUM_CODES = 300
_NUM_ORACLE_CODES = 4000
_NUM_RECONSTRUCTOR_CODES = 1000
_NUM_PROTOCOL_CODES = 4000
_RECONSTRUCTOR = ReconstructorSettings(num_steps=250, batch_size=32, held_out=0.1)
_SCORE_STREAM = 0x5C0_7E


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """What is scored, and with what.

    Attributes:
        factors: a factor network; by default the packaged one, for generators of scenes.
        truth: whether scores against factors are wanted; by default where factors are known.
        reconstructor: whether a network is trained to tell the directions apart (half a minute).
        labelled: real images of known factors, for the encoder protocol (minutes); None leaves it out.
        agree_with: run folders of other seeds on the same checkpoint.
        ckpt: the checkpoint; by default the one that the run names.
        device: where to synthesise.
    """

    factors: Path | None = None
    truth: bool | None = None
    reconstructor: bool = True
    labelled: Labelled | None = None
    agree_with: tuple[Path, ...] = ()
    ckpt: str | None = None
    device: str = "auto"


def score(run: Path, options: ScoreOptions) -> tuple[Directions, list[Path]]:
    """Score the directions in the run folder `run`; return them with their scores, and the files written.

    Raises:
        CheckpointError: directions, checkpoint or factor network cannot be used, or do not belong together.
        InvalidArgumentError: truth is wanted and no factors are known, or a run is compared with itself.
        RunFolderError: the folder cannot be used.
    """
    reuse_freed_memory()
    directions = Directions.load(run)
    record = read_run(run)
    others = [_other(run, directions, path) for path in options.agree_with]
    ckpt = locate(options.ckpt or checkpoint_of_run(run))
    require_same_checkpoint(directions, ckpt)
    network_path = factor_network_for(ckpt, given=options.factors, wanted=options.truth)
    if options.labelled is not None and not makes_scenes(ckpt):
        raise InvalidArgumentError(f"--protocol needs labelled images, and those that {ckpt} learnt from are not known")
    device = choose_device(options.device)
    network = None if network_path is None else FactorNetwork.load(network_path, device)
    space = _space(run, directions, ckpt, device)
    running = RunFolder.open(run, record.config, command=record.command, device=str(device))
    with weights_stay(), running as folder:
        directions = _in_order(run, directions, _held_out(space, directions))
        directions = _measured(space, directions, network, others, options)
        written = [directions.save(folder.path / "directions.safetensors")]
        written.append(write_json(folder.path / "scores.json", directions.score_table()))
        pictures = PictureOptions(**{**record.config["pictures"], "seeds": tuple(record.config["pictures"]["seeds"])})
        written += draw_run(folder.path, space, directions, pictures)
    return directions, written


def _in_order(run: Path, directions: Directions, result: HeldOut) -> Directions:
    """The directions in the order of their renewed score; the names that a user gave them go along."""
    names = names_of(run, directions)
    numbered = dataclasses.replace(directions, metadata={**directions.metadata, "was": [*range(len(result.rtd))]})
    ordered = judged(numbered, result)
    was = ordered.metadata.pop("was")
    if names and was != sorted(was):
        moved = {new: names[old] for new, old in enumerate(was) if old in names}
        write_names(run / NAMES_FILE, moved, source=source_of(ordered))
    return ordered


def _measured(
    space: LatentSpace,
    directions: Directions,
    network: FactorNetwork | None,
    others: list[Directions],
    options: ScoreOptions,
) -> Directions:
    """The directions with everything else that is asked for; what is not asked for stays as it was."""
    parts: list[Callable[[], Scores]] = []
    if network is not None:
        parts.append(partial(_truth, space, directions, network))
    if options.reconstructor and directions.num_directions > 1:
        parts.append(partial(_reconstructor, space, directions))
    if others:
        parts.append(partial(_agreement, directions, others))
    if options.labelled is not None:
        parts.append(partial(_protocol, space, directions, options.labelled))
    columns: dict[str, Any] = {}
    whole: dict[str, Any] = dict(directions.metadata.get("scores", {}))
    with ProgressReporter("score") as progress:
        for done, part in enumerate(parts):
            columns_of_part, whole_of_part = part()
            columns |= columns_of_part
            whole |= whole_of_part
            progress(done + 1, len(parts))
    return dataclasses.replace(directions, metadata={**directions.metadata, **columns, "scores": whole})


def _other(run: Path, directions: Directions, path: Path) -> Directions:
    """The directions of another run, which must be of the same checkpoint and space.

    Raises:
        CheckpointError: it holds no directions, or those of another checkpoint or space.
        InvalidArgumentError: it is the run itself.
    """
    if path.resolve() == run.resolve():
        raise InvalidArgumentError(f"--agree-with {path} is the run itself; give runs of other seeds")
    other = Directions.load(path)
    if other.metadata.get("checkpoint_sha256") != directions.metadata.get("checkpoint_sha256"):
        raise CheckpointError(f"--agree-with {path} holds directions of another checkpoint; give runs of the same one")
    if other.metadata.get("space") != directions.metadata.get("space"):
        raise CheckpointError(f"--agree-with {path} holds directions of another space; give runs in the same one")
    return other


def _space(run: Path, directions: Directions, ckpt: Path, device: torch.device) -> LatentSpace:
    facts = directions.metadata
    missing = [name for name in ("resolution", "layers", "label", "settings") if name not in facts]
    if missing:
        raise CheckpointError(
            f"the directions in {run} do not say what they were found with ({', '.join(missing)}); "
            "score takes the run folders of `topdis-gan discover`"
        )
    return LatentSpace.of(directions, load(ckpt, device))


def _held_out(space: LatentSpace, directions: Directions) -> HeldOut:
    """RTD and effect on codes that neither the search nor its own judgement has seen."""
    settings = directions.metadata["settings"]
    return judge_held_out(
        space.features,
        space.sample_codes,
        directions,
        shift=settings["shift"],
        shift_kind=settings.get("shift_kind", settings.get("shift_law")),
        batch_size=settings["batch_size"],
        num_batches=8,
        micro_batch=settings["micro_batch"],
        seed=_SCORE_STREAM + settings["seed"],
        device=space.generator.mapping.w_avg.device,
    )


@torch.no_grad()
def _truth(space: LatentSpace, directions: Directions, network: FactorNetwork) -> Scores:
    size = space.generator.img_resolution
    if network.resolution != size:
        raise CheckpointError(
            f"the factor network reads images of {network.resolution} px, the generator makes {size} px"
        )
    rng = torch.Generator().manual_seed(_SCORE_STREAM)
    codes = space.sample_codes(_NUM_CODES, rng)
    best = oracle(space.images, network.read, space.sample_codes(_NUM_ORACLE_CODES, rng))
    result = rescore(space.images, network.read, codes, directions)
    floor = noise_floor(space.images, network.read, codes)
    return result.columns(), {
        "rescoring": result.as_dict(),
        "oracle": rescore(space.images, network.read, codes, best).as_dict(),
        "noise_floor": dict(zip(result.factors, floor, strict=True)),
    }


def _reconstructor(space: LatentSpace, directions: Directions) -> Scores:
    rng = torch.Generator().manual_seed(_SCORE_STREAM + 1)
    with torch.no_grad():
        codes = space.sample_codes(_NUM_RECONSTRUCTOR_CODES, rng)
    whole = reconstructor_accuracy(space.images, directions, codes, _RECONSTRUCTOR).as_dict()
    return {"recognised": list(whole.pop("recognised"))}, {"reconstructor": whole}


def _agreement(directions: Directions, others: list[Directions]) -> Scores:
    each = list(agreement_of_each(directions, others))
    return {"agreement": each}, {"agreement": {"mean": sum(each) / len(each), "num_others": len(others)}}


def _protocol(space: LatentSpace, directions: Directions, labelled: Labelled) -> Scores:
    side, device = space.generator.img_resolution, space.generator.mapping.w_avg.device
    with torch.no_grad():
        codes = space.sample_codes(_NUM_PROTOCOL_CODES, torch.Generator().manual_seed(_SCORE_STREAM + 2))

    def draw(indices: Any) -> Tensor:
        images = torch.from_numpy(labelled.draw(indices, side)).to(device)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    result = encoder_protocol(space.images, directions, codes, draw, labelled.factor_sizes)
    return {}, {"protocol": result.as_dict()}
