"""The scores of a run's directions: on held-out codes, against known factors, by a network, and across seeds.

Scores of single directions are columns of the run's table; those of the run as a whole are under "scores".
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.held_out import HeldOutScores, evaluate_held_out
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.micro_batch import choose_micro_batch
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.matching import agreement_of_each
from ganspace_topdis.evaluation.protocol import LabeledImages, ProtocolSettings, encoder_protocol
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.evaluation.rescoring import noise_floor, oracle, rescore
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checkpoints import Checkpoint, CheckpointStore
from ganspace_topdis.runs.progress import Progress, ProgressReporter
from stylegan2.loading import load
from stylegan2.runs.plan import Pace
from stylegan2.runs.score_plan import ScoreCounts, ScorePlan, plan_scores
from stylegan2.space import LatentSpace

__all__ = ["load_other", "planned_scores", "score_before", "score_held_out", "scored", "space_of_run"]

Scores = tuple[dict[str, Any], dict[str, Any]]
"""Columns (a list of K numbers each), and scores of the run as a whole."""

_NUM_CODES = 300
_NUM_CLOUDS, _NUM_RANDOM = 10, 40
_NUM_ORACLE_CODES = 4000
_NUM_RECONSTRUCTOR_CODES = 1000
_NUM_PROTOCOL_CODES = 4000
_RECONSTRUCTOR = ReconstructorSettings(num_steps=250, batch_size=32, held_out=0.1)
_SCORE_STREAM = 0x5C0_7E
_CODES_AT_ONCE, _IMAGES_AT_ONCE = 64, 256
_SAME = 1e-4
"""Largest distance between equal directions, in their lengths: both are float32."""


def space_of_run(run: Path, directions: Directions, ckpt: Path, device: torch.device) -> LatentSpace:
    """The space of a run's directions.

    Raises:
        CheckpointError: the directions lack the settings of their search.
    """
    facts = directions.metadata
    missing = [name for name in ("resolution", "layers", "label", "settings") if name not in facts]
    if missing:
        raise CheckpointError(
            f"the directions in {run} lack the settings of their search ({', '.join(missing)}); "
            "score takes the run folders of `topdis-gan discover`"
        )
    return LatentSpace.of(directions, load(ckpt, device))


def score_held_out(
    space: LatentSpace,
    directions: Directions,
    found: Directions | None = None,
    *,
    rtd_only: bool = False,
    progress: Progress | None = None,
    store: PartialStore | None = None,
) -> HeldOutScores:
    """Held-out scores on codes that neither the search nor its evaluation has used.

    Args:
        space: the space of the directions.
        directions: what is scored.
        found: directions with the settings of the search, which choose the codes; `directions` by default.
        rtd_only: leave everything but RTD and effect out.
        progress: called after every direction of every batch.
        store: saves the measures after every direction, and restores them.
    """
    settings = (found or directions).metadata["settings"]
    return evaluate_held_out(
        space.features,
        space.sample_codes,
        directions,
        batch_size=settings["batch_size"],
        num_batches=_NUM_CLOUDS,
        num_random=_NUM_RANDOM,
        rtd_only=rtd_only,
        micro_batch=_fitting(space.features, space, found or directions, _CODES_AT_ONCE),
        seed=_SCORE_STREAM + settings["seed"],
        device=space.generator.mapping.w_avg.device,
        progress=progress,
        store=store,
    )


def planned_scores(
    pace: Pace,
    directions: Directions,
    *,
    num_images: int,
    knows_factors: bool,
    reconstructor: bool | None,
    protocol: ProtocolSettings | None,
) -> ScorePlan:
    """What the scores of `directions` take on a machine of this pace; for arguments see `plan_scores`.

    Args:
        pace: how fast this machine is.
        directions: what is scored.
        num_images: of the pictures.
        knows_factors: whether a network reads the factors.
        reconstructor: whether a network is trained to tell the directions apart; None: where it takes minutes.
        protocol: of the encoder protocol; None without it.
    """
    counts = ScoreCounts(
        num_points=directions.metadata["settings"]["batch_size"],
        num_clouds=_NUM_CLOUDS,
        num_random=_NUM_RANDOM,
        num_sets=1 + ("rtd_before" in directions.metadata),
        num_codes=_NUM_CODES,
        num_oracle_codes=_NUM_ORACLE_CODES if knows_factors else 0,
        num_reconstructor_codes=_NUM_RECONSTRUCTOR_CODES,
        num_images=num_images,
    )
    return plan_scores(
        pace,
        counts,
        directions.num_directions,
        reconstructor=reconstructor,
        settings=_RECONSTRUCTOR,
        protocol=protocol,
    )


def score_before(
    space: LatentSpace,
    directions: Directions,
    checkpoints: CheckpointStore,
    *,
    progress: Progress | None = None,
    store: PartialStore | None = None,
) -> list[float] | None:
    """RTD of the directions that the search started from, on the codes of `score_held_out`, by number.

    None for a closed form, which has no start, and, with a warning, where the last checkpoint of the search does not
    belong to the directions.
    """
    if "rtd_before" not in directions.metadata:
        return None
    try:
        checkpoint = checkpoints.load_newest()
    except CheckpointError:
        checkpoint = None
    start = None if checkpoint is None else _start_of(space, directions, checkpoint)
    if start is None:
        warnings.warn(
            "RTD before is left out: the last checkpoint of the search is missing or of other directions, "
            "so its start cannot be evaluated on the same codes as RTD after",
            stacklevel=2,
        )
        return None
    return score_held_out(space, start, directions, rtd_only=True, progress=progress, store=store).rtd


def _start_of(space: LatentSpace, directions: Directions, checkpoint: Checkpoint) -> Directions | None:
    """The initial directions of the search, each under the number of the direction that it became."""
    settings = {"search_in": "span", **directions.metadata["settings"]}  # searches were of the span before it was said
    if "shift_law" in settings:
        settings["shift_kind"] = settings.pop("shift_law")
    try:
        search = Discovery.resume(
            space.features,
            space.sample_codes,
            DiscoverySettings(**settings),
            (checkpoint.tensors, checkpoint.rest),
            device=space.generator.mapping.w_avg.device,
        )
    except (InvalidArgumentError, KeyError, RuntimeError):  # written by another version, or for another generator
        return None
    start, found = search.directions(search.initial_rotation), search.directions().vectors
    if found.shape != directions.vectors.shape:
        return None
    either = torch.stack([found, search.fallback().vectors])  # of what did not improve, its start was kept
    distances = torch.cdist(directions.in_sigmas().vectors, either).amin(dim=0)
    rows = distances.argmin(dim=1).tolist()
    is_same = bool(distances.amin(dim=1).max() <= _SAME * found.norm(dim=1).max())
    return start.select(rows) if is_same and sorted(rows) == list(range(len(rows))) else None


def scored(
    space: LatentSpace,
    directions: Directions,
    *,
    network: FactorNetwork | None,
    others: Sequence[Directions],
    reconstructor: bool,
    labeled: LabeledImages | None,
    protocol: ProtocolSettings,
) -> Directions:
    """The directions with the requested scores; other scores stay as they were.

    Args:
        space: the space of the directions.
        directions: what is scored.
        network: reads the known factors.
        others: directions of other seeds.
        reconstructor: whether a network is trained to tell the directions apart.
        labeled: real images of known factors, for the encoder protocol.
        protocol: settings of the encoder protocol.
    """
    parts: list[Callable[[], Scores]] = []
    if network is not None:
        parts.append(partial(_truth, space, directions, network))
    if reconstructor and directions.num_directions > 1:
        parts.append(partial(_reconstructor, space, directions))
    if others:
        parts.append(partial(_agreement, directions, others))
    if labeled is not None:
        parts.append(partial(_protocol, space, directions, labeled, protocol))
    columns: dict[str, Any] = {}
    whole: dict[str, Any] = dict(directions.metadata.get("scores", {}))
    with ProgressReporter("score") as progress:
        for done, part in enumerate(parts):
            columns_of_part, whole_of_part = part()
            columns |= columns_of_part
            whole |= whole_of_part
            progress(done + 1, len(parts))
    return dataclasses.replace(directions, metadata={**directions.metadata, **columns, "scores": whole})


def load_other(run: Path, directions: Directions, path: Path) -> Directions:
    """The directions of another run, which must be of the same checkpoint and space.

    Raises:
        CheckpointError: it holds no directions, or those of another checkpoint or space.
        InvalidArgumentError: it is the run itself.
    """
    if Directions.file_of(path).resolve() == Directions.file_of(run).resolve():
        raise InvalidArgumentError(
            f"`agree_with` {path} is the run itself; give runs of other seeds", field="agree_with"
        )
    other = Directions.load(path)
    if other.metadata.get("checkpoint_sha256") != directions.metadata.get("checkpoint_sha256"):
        raise CheckpointError(f"`agree_with` {path} holds directions of another checkpoint; give runs of the same one")
    if other.metadata.get("space") != directions.metadata.get("space"):
        raise CheckpointError(f"`agree_with` {path} holds directions of another space; give runs in the same one")
    return other


def _fitting(generate: Generate, space: LatentSpace, directions: Directions, most: int) -> int:
    """How many codes are synthesized at a time: as many as the search was told, or as fit into the memory."""
    given: int | None = directions.metadata.get("settings", {}).get("micro_batch")
    codes = space.sample_codes(2, torch.Generator().manual_seed(_SCORE_STREAM))
    return given or min(most, choose_micro_batch(generate, codes, most=most))


@torch.no_grad()
def _truth(space: LatentSpace, directions: Directions, network: FactorNetwork) -> Scores:
    size = space.generator.config.image_size
    if size[0] != size[1] or size[0] % network.resolution:
        raise CheckpointError(
            f"the factor network reads images of {network.resolution} px or whole multiples, the generator makes "
            f"{size[0]} x {size[1]} px"
        )
    rng = torch.Generator().manual_seed(_SCORE_STREAM)
    codes = space.sample_codes(_NUM_CODES, rng)
    at_once = _fitting(space.images, space, directions, _IMAGES_AT_ONCE)
    best = oracle(space.images, network.read, space.sample_codes(_NUM_ORACLE_CODES, rng), batch_size=at_once)
    result = rescore(space.images, network.read, codes, directions, batch_size=at_once)
    floor = noise_floor(space.images, network.read, codes, batch_size=at_once)
    return result.columns(), {
        "rescoring": result.as_dict(),
        "oracle": rescore(space.images, network.read, codes, best, batch_size=at_once).as_dict(),
        "noise_floor": dict(zip(result.factors, floor, strict=True)),
    }


def _reconstructor(space: LatentSpace, directions: Directions) -> Scores:
    rng = torch.Generator().manual_seed(_SCORE_STREAM + 1)
    with torch.no_grad():
        codes = space.sample_codes(_NUM_RECONSTRUCTOR_CODES, rng)
    whole = reconstructor_accuracy(space.images, directions, codes, _RECONSTRUCTOR).as_dict()
    return {"recognized": list(whole.pop("recognized"))}, {"reconstructor": whole}


def _protocol(space: LatentSpace, directions: Directions, labeled: LabeledImages, settings: ProtocolSettings) -> Scores:
    side, device = space.generator.img_resolution, space.generator.mapping.w_avg.device
    with torch.no_grad():
        codes = space.sample_codes(_NUM_PROTOCOL_CODES, torch.Generator().manual_seed(_SCORE_STREAM + 2))

    def draw(indices: Any) -> Tensor:
        images = torch.from_numpy(labeled.draw(indices, side)).to(device)
        return images.permute(0, 3, 1, 2).float() / 127.5 - 1

    result = encoder_protocol(space.images, directions, codes, draw, labeled.factor_sizes, settings)
    return {}, {"protocol": result.as_dict()}


def _agreement(directions: Directions, others: Sequence[Directions]) -> Scores:
    each = list(agreement_of_each(directions, others))
    matched = [cosine for cosine in each if cosine is not None]
    return {"agreement": each}, {"agreement": {"mean": sum(matched) / len(matched), "num_others": len(others)}}
