"""`topdis-gan score`: how good the directions of a run are, against known factors where there are any.

    evaluate on new codes, before and after -> rank by score -> what each direction changes, against known
    factors -> can a network tell the directions apart -> do other seeds agree -> save, and draw pictures and page again

Judging and pictures resume where they were stopped. Directions keep their numbers, so that names, commands and exported
files keep their meaning; the rank is a column.
Generators of scenes come with a network that reads their factors; for others such a network can be given.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option, split_names
from stylegan2.commands.discover import directions_text
from stylegan2.settings import PictureSettings, RunSettings

if TYPE_CHECKING:
    from ganspace_topdis.evaluation.factor_network import FactorNetwork
    from ganspace_topdis.evaluation.protocol import LabeledImages, ProtocolSettings
    from ganspace_topdis.latent.directions import Directions
    from ganspace_topdis.runs.records import RunRecord
    from stylegan2.runs.score_plan import ScorePlan
    from stylegan2.space import LatentSpace

__all__ = ["COMMAND", "Options", "plan_text", "run", "to_text"]

_MAIN = "Scores"


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is scored, and how."""

    run: Path = option(help="Run folder of `topdis-gan discover`.", argument=True)
    truth: bool | None = option(
        None, help="Score against known factors.", group=_MAIN, default_text="where they are known"
    )
    factor_network: Path | None = option(
        None, help="Network that reads the factors.", group=_MAIN, metavar="FILE", default_text="packaged"
    )
    reconstructor: bool | None = option(
        None,
        help="Train a network to tell the directions apart.",
        group=_MAIN,
        default_text="where its images take 10 minutes or less",
    )
    agree_with: tuple[Path, ...] = option(
        (), help="Run of another seed on the same checkpoint.", group=_MAIN, metavar="RUN", multiple=True
    )
    protocol: bool = option(
        False, help="Also MIG, DCI and FactorVAE score of an encoder, on scenes (minutes).", group=_MAIN
    )
    protocol_metrics: tuple[str, ...] = option(
        (),
        help="Further metric groups of `protocol`, such as infomec,mcc.",
        group=_MAIN,
        metavar="NAME,...",
        parse=split_names,
    )
    loading: RunSettings = nested(RunSettings, hide=("layers", "label"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol_metrics and not self.protocol:
            raise InvalidArgumentError(
                "`protocol_metrics` are computed by `protocol`; give it, too, or leave them out",
                field="protocol_metrics",
            )


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """The run that is scored, and what it is scored with.

    Attributes:
        directions: of the run.
        record: the run.
        space: the space of the directions.
        others: directions of other seeds.
        network: reads the known factors; None where there are none.
        protocol: settings of the encoder protocol.
    """

    directions: "Directions"
    record: "RunRecord"
    space: "LatentSpace"
    others: "list[Directions]"
    network: "FactorNetwork | None"
    protocol: "ProtocolSettings"


def run(options: Options, labeled: "LabeledImages | None" = None) -> dict[str, Any]:
    """Score the directions of a run; return the table of scores and the files written.

    Args:
        options: what is scored.
        labeled: real images of known factors, for `protocol`; without them there are none.

    Raises:
        CheckpointError: directions, checkpoint or factor network cannot be used, or do not belong together.
        InvalidArgumentError: truth is requested and no factors are known, a run is compared with itself, or a metric
            is unknown.
        RunFolderError: the folder cannot be used.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
    """
    from ganspace_topdis.discovery.held_out import add_scores
    from ganspace_topdis.latent.directions import Directions
    from ganspace_topdis.runs.devices import tune_malloc
    from ganspace_topdis.runs.distributed import ProcessGroup
    from ganspace_topdis.runs.files import write_json
    from ganspace_topdis.runs.progress import ProgressReporter
    from ganspace_topdis.runs.shared_folder import open_shared
    from stylegan2.ops.weight_cache import frozen_weights
    from stylegan2.runs.pictures import draw_run
    from stylegan2.runs.plan import announce, chosen_pictures
    from stylegan2.runs.scores import score_before, score_held_out, scored
    from stylegan2.runs.search import SAVE_INTERVAL_S

    tune_malloc()
    subject = _subject(options)
    record, space = subject.record, subject.space
    device = space.generator.mapping.w_avg.device
    world = ProcessGroup(rank=0, size=1, device=device)
    opened = open_shared(world, options.run, record.config, command=record.command, device=str(device))
    with frozen_weights(), opened as folder:
        directions = Directions.load(options.run)  # again: another scoring may have ended before the folder was ours
        planned = _planned(subject, options)
        announce(planned)
        work = folder.partial_work(every_s=SAVE_INTERVAL_S)
        with work as store, ProgressReporter("judge, clouds") as progress:
            before = score_before(space, directions, record.checkpoints, progress=progress, store=store)
            after = score_held_out(space, directions, progress=progress, store=store)
        directions = scored(
            space,
            add_scores(directions, after, rtd_before=before),
            network=subject.network,
            others=subject.others,
            reconstructor=planned.reconstructor_s > 0,
            labeled=labeled if options.protocol else None,
            protocol=subject.protocol,
        )
        written = [directions.save(folder.path / "directions.safetensors")]
        written.append(write_json(folder.path / "scores.json", directions.score_table()))
        pictures = chosen_pictures(folder.path, PictureSettings.from_config(record.config["pictures"]), None)
        with folder.partial_work(every_s=SAVE_INTERVAL_S) as store:
            written += draw_run(folder.path, space, directions, pictures, store=store)
        folder.drop_partial()
    return {**directions.score_table(), "files": [str(path) for path in written]}


def plan_text(options: Options) -> str:
    """What is scored, and how long each part takes here; nothing is downloaded for it.

    Raises:
        TopdisError: as `run`.
    """
    from stylegan2.loading import checkpoint_of_run
    from stylegan2.ops.weight_cache import frozen_weights
    from stylegan2.zoo import is_on_this_machine

    ckpt = options.loading.ckpt or checkpoint_of_run(options.run)
    if not is_on_this_machine(ckpt):
        return f"plan: {ckpt} is downloaded first, and can be timed then"
    with frozen_weights():
        return _planned(_subject(options), options).as_text()


def _subject(options: Options) -> _Subject:
    """The run, its checkpoint, and what it is compared with; everything that can be wrong is checked."""
    from ganspace_topdis.evaluation.factor_network import FactorNetwork
    from ganspace_topdis.evaluation.protocol import ProtocolSettings
    from ganspace_topdis.latent.directions import Directions
    from ganspace_topdis.metrics.groups import metric_groups
    from ganspace_topdis.runs.devices import choose_device
    from ganspace_topdis.runs.records import read_run
    from stylegan2.loading import factor_network_for, known_data, locate_checkpoint, require_same_checkpoint
    from stylegan2.runs.scores import load_other, space_of_run

    if options.protocol_metrics:
        metric_groups(options.protocol_metrics, argument="protocol_metrics")
    directions = Directions.load(options.run)
    record = read_run(options.run)
    others = [load_other(options.run, directions, path) for path in options.agree_with]
    ckpt = locate_checkpoint(options.run, options.loading.ckpt)
    require_same_checkpoint(directions, ckpt)
    network = factor_network_for(ckpt, given=options.factor_network, wanted=options.truth)
    if options.protocol and known_data(ckpt) != "scenes":
        raise InvalidArgumentError(
            f"`protocol` needs labeled images, which are drawn of scenes only; {ckpt} is no generator of them",
            field="protocol",
        )
    device = choose_device(options.loading.device)
    return _Subject(
        directions=directions,
        record=record,
        others=others,
        protocol=ProtocolSettings(metrics=options.protocol_metrics),
        network=None if network is None else FactorNetwork.load(network, device),
        space=space_of_run(options.run, directions, ckpt, device).truncated(record.config.get("search_psi", 1.0)),
    )


def _planned(subject: _Subject, options: Options) -> "ScorePlan":
    from stylegan2.runs.plan import chosen_pictures, measure_pace, num_images
    from stylegan2.runs.scores import planned_scores

    directions, space = subject.directions, subject.space
    pictures = chosen_pictures(options.run, PictureSettings.from_config(subject.record.config["pictures"]), None)
    return planned_scores(
        measure_pace(space, directions.metadata["settings"]["batch_size"]),
        directions,
        num_images=num_images(pictures, directions.num_directions, space.generator.img_resolution),
        knows_factors=subject.network is not None,
        reconstructor=options.reconstructor,
        protocol=subject.protocol if options.protocol else None,
    )


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """The table of scores, the scores of the run as a whole, then the files."""
    from stylegan2.runs.pictures import summary

    whole = [
        line
        for heading, text in summary(record.get("scores", {})).items()
        for line in textwrap.wrap(f"{heading:>17}: {text}", 80, subsequent_indent=" " * 19)
    ]
    return "\n".join([directions_text(record), *whole, *record["files"]])


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    plan=plan_text,
    help="Score the directions of a run again and rank them: RTD, effect, truth where known, other seeds.",
    examples=("topdis-gan score runs/ffhq", "topdis-gan score runs/ffhq --agree-with runs/ffhq-1 --no-reconstructor"),
)
