"""`topdis-gan score`: how good the directions of a run are, against known factors where there are any.

The packaged generator comes with a network that reads its factors; for another one such a network is given with
`--factors`. The scores go into the run's directions, its scores.json, its pictures and its page.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.discovery.held_out import judge_held_out
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.rescoring import noise_floor, oracle, rescore
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import sha256_of, write_json
from ganspace_topdis.runs.folder import RunFolder, read_run
from stylegan2.commands.pictures import PictureOptions, draw_run
from stylegan2.commands.traverse import checkpoint_of_run, require_same_checkpoint
from stylegan2.loading import ASSETS, load, locate
from stylegan2.space import WSpace

__all__ = ["score"]

_NUM_CODES = 300
_NUM_ORACLE_CODES = 4000
_SCORE_STREAM = 0x5C0_7E


def score(
    run: Path, *, factors: Path | None = None, truth: bool | None = None, ckpt: str | None = None, device: str = "auto"
) -> tuple[Directions, dict[str, Any], list[Path]]:
    """Score the directions in the run folder `run`; return them, the scores of the whole, and the files written.

    Args:
        run: a run folder of `discover`.
        factors: a factor network; by default the packaged one, for the packaged generator.
        truth: whether scores against factors are wanted; by default where factors are known.
        ckpt: the checkpoint; by default the one that the run names.
        device: where to synthesise.

    Raises:
        CheckpointError: directions, checkpoint or factor network cannot be used, or do not belong together.
        InvalidArgumentError: truth is wanted and no factors are known.
        RunFolderError: the folder cannot be used.
    """
    directions = Directions.load(run)
    record = read_run(run)
    path = locate(ckpt or checkpoint_of_run(run))
    require_same_checkpoint(directions, path)
    network_path = _factor_network(path, factors, truth)
    chosen = choose_device(device)
    facts = directions.metadata
    space = WSpace(
        generator=load(path, chosen),
        resolution=facts["resolution"],
        layers=None if facts["layers"] is None else tuple(facts["layers"]),
        label=facts["label"],
    )
    with RunFolder.open(run, record.config, command=record.command, device=str(chosen)) as folder:
        columns = _held_out(space, directions)
        whole: dict[str, Any] = {}
        if network_path is not None:
            truth_columns, whole = _truth(space, directions, FactorNetwork.load(network_path, chosen))
            columns |= truth_columns
        directions = dataclasses.replace(directions, metadata={**facts, **columns})
        written = [directions.save(folder.path / "directions.safetensors")]
        written.append(write_json(folder.path / "scores.json", {**directions.score_table(), **whole}))
        pictures = PictureOptions(**{**record.config["pictures"], "seeds": tuple(record.config["pictures"]["seeds"])})
        written += draw_run(folder.path, space, directions, pictures)
    return directions, whole, written


def _factor_network(ckpt: Path, factors: Path | None, truth: bool | None) -> Path | None:
    if factors is not None or truth is False:
        return None if truth is False else factors
    if sha256_of(ckpt) == sha256_of(ASSETS / "scenes.safetensors"):
        return ASSETS / "scenes_factors.safetensors"
    if truth:
        raise InvalidArgumentError(
            f"the factors of {ckpt} are not known: give a network that reads them with --factors, "
            "or leave --truth out for the scores that need none"
        )
    return None


def _held_out(space: WSpace, directions: Directions) -> dict[str, Any]:
    """RTD and effect on codes that neither the search nor its own judgement has seen."""
    settings = directions.metadata["settings"]
    result = judge_held_out(
        space.features,
        space.sample_codes,
        directions,
        shift=settings["shift"],
        shift_law=settings["shift_law"],
        batch_size=settings["batch_size"],
        num_batches=8,
        micro_batch=settings["micro_batch"],
        seed=_SCORE_STREAM + settings["seed"],
        device=space.generator.mapping.w_avg.device,
    )
    return {"rtd_after": result.rtd, "effect": result.effect}


def _truth(space: WSpace, directions: Directions, network: FactorNetwork) -> tuple[dict[str, Any], dict[str, Any]]:
    size = space.generator.img_resolution
    if network.resolution != size:
        raise CheckpointError(
            f"the factor network reads images of {network.resolution} px, the generator makes {size} px"
        )
    rng = torch.Generator().manual_seed(_SCORE_STREAM)
    codes = space.sample_codes(_NUM_CODES, rng)
    with torch.no_grad():
        best = oracle(space.images, network.read, space.sample_codes(_NUM_ORACLE_CODES, rng))
        result = rescore(space.images, network.read, codes, directions)
        whole = {
            "rescoring": result.as_dict(),
            "oracle": rescore(space.images, network.read, codes, best).as_dict(),
            "noise_floor": noise_floor(space.images, network.read, codes),
        }
    return result.columns(), whole
