"""What a reader of a run sees: report.html, and the traversals of its latents.

    report.html                       verdict, scores, what each latent encodes, loss curves, settings; one file
    explorer.html, traversals/        see ganspace_topdis.traversal.gallery
    traversals/latents.gif            all of them at once, from one image
    directions.safetensors            the latents as directions, for other tools

Traversals are drawn by the same code as those of StyleGAN2 directions: a latent is a direction along its axis; one
standard deviation is that of the prior, 1. They start at mean codes of images of the data set and show live latents
only (see `scores.Latent`), in order of decreasing KL divergence.
"""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.report.page import build_page, figure, section
from ganspace_topdis.report.table import Table, settings_table, to_html
from ganspace_topdis.report.values import format_number, score_name
from ganspace_topdis.runs.files import write_text
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.animation import write_animation
from ganspace_topdis.traversal.frames import traverse_all
from ganspace_topdis.traversal.gallery import PageText, WalkSettings, write_gallery
from ganspace_topdis.traversal.names import DirectionLabel
from vae.data.dataset import DataSet
from vae.encoding import encode
from vae.evaluation.metrics import METRICS, format_metric, metric_name
from vae.evaluation.scores import LIVE_KL, LIVE_STD, Latent
from vae.networks.autoencoder import AutoEncoder

__all__ = ["draw_curves", "draw_latents", "heat_map", "latent_directions", "latent_labels", "write_run_page"]


_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 150, 60, 22, 18
_MAX_POINTS = 400
_LOG_RATIO = 50.0
_NAMES = {"kl": "KL", "tc": "TC", "topdis": "TopDis"}
_HEADLINES = ("mig", "factor_vae", "dci_disentanglement", "reconstruction")
_MAP_NOTE = (
    "Colored cells: mutual information between a latent's mean codes (20 bins) and a factor, divided by the factor's "
    "entropy. KL: mean divergence from the prior, nats. std: standard deviation of the mean codes. Gray latents are "
    f"not live: their KL is below {LIVE_KL} nats, or their std below {LIVE_STD}."
)


def write_run_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, Any],
    scores: Mapping[str, float],
    latents: Sequence[Latent],
    log: Sequence[Mapping[str, Any]],
    overview: Path | None,
) -> Path:
    """Write the page.

    Args:
        path: the file.
        title: the heading.
        facts: settings of the training and the evaluation, shown as a table.
        scores: metric -> number.
        latents: all latents, in the order of the rows.
        log: the rows of metrics.jsonl.
        overview: picture of the traversals, if there is one.

    Raises:
        RunFolderError: the file cannot be written.
    """
    curves = draw_curves(log)
    alt = "Traversals: one row per live latent, from the first image; columns are values of the latent"
    page = build_page(
        title,
        [
            section("Scores", to_html(_scores(scores)) if scores else ""),
            section("Latents", to_html(heat_map(latents)) if latents else ""),
            section("Traversals", figure(overview.read_bytes(), alt)) if overview else "",
            section("Training", f'<div class="curves">{curves}</div>' if curves else ""),
            section("Settings", to_html(settings_table(facts)) if facts else ""),
        ],
        verdict=_verdict(scores, latents),
    )
    return write_text(path, page)


def _verdict(scores: Mapping[str, float], latents: Sequence[Latent]) -> str:
    shown = [f"{metric_name(key)} {format_number(scores[key])}" for key in _HEADLINES if key in scores]
    live = [latent for latent in latents if latent.live]
    parts = ["; ".join(shown)] if shown else []
    if latents:
        parts.append(f"{len(live)} of {len(latents)} latents are live")
    best = {name: max(live, key=lambda latent: latent.shares[name]) for name in (live[0].shares if live else ())}
    known = ", ".join(f"{name}: latent {latent.index} ({latent.shares[name]:.2f})" for name, latent in best.items())
    if known:
        parts.append(f"Most informative latent per factor, with its share of the entropy: {known}")
    return "".join(f"{part}. " for part in parts).strip()


def _scores(scores: Mapping[str, float]) -> Table:
    rows = [
        (metric.name, format_metric(scores[metric.key], metric.key), _better(metric.higher_is_better))
        for metric in METRICS
        if metric.key in scores
    ]
    return Table(header=("metric", "score", "better"), rows=tuple(rows))


def _better(higher: bool | None) -> str:
    return "" if higher is None else "higher" if higher else "lower"


def heat_map(latents: Sequence[Latent]) -> Table:
    """Return one row per latent and one column per factor, tinted by the share of the factor's entropy.

    The square root makes small shares visible.
    """
    factors = list(latents[0].shares) if latents else []
    rows, tints = [], {}
    for place, latent in enumerate(latents):
        shares = [latent.shares[name] for name in factors]
        tints.update({(place, column): max(share, 0.0) ** 0.5 for column, share in enumerate(shares, start=1)})
        numbers = (f"{latent.kl:.2f}", f"{latent.std:.2f}")
        state = "live" if latent.live else "dead"
        rows.append((str(latent.index), *(f"{share:.2f}" for share in shares), *numbers, state))
    return Table(
        header=("latent", *factors, "KL", "std", "state"),
        rows=tuple(rows),
        note=_MAP_NOTE,
        tints=tints,
        muted=[place for place, latent in enumerate(latents) if not latent.live],
    )


def draw_curves(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one SVG panel per quantity of a log over its steps; an empty text if there is none.

    A quantity that is always positive and spans more than a factor of 50 gets a logarithmic axis. Entries that are not
    finite numbers are skipped.

    Args:
        rows: rows of metrics.jsonl, each with its "step".

    >>> draw_curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]).count("<svg")
    1
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    panels = []
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if _is_finite(row.get(name))]
        if len(points) > 1:
            panels.append(_panel(name, points[:: math.ceil(len(points) / _MAX_POINTS)]))
    return "\n".join(panels)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(name: str, points: Sequence[tuple[int, float]]) -> str:
    values = [value for _, value in points]
    logarithmic = min(values) > 0 and max(values) > _LOG_RATIO * min(values)
    heights = [math.log(value) for value in values] if logarithmic else values
    low, high = min(heights), max(heights)
    first, last = points[0][0], points[-1][0]
    path = " ".join(
        f"{_LEFT + (_WIDTH - _LEFT - 6) * (step - first) / max(last - first, 1):.1f},"
        f"{_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (y - low) / (high - low or 1)):.1f}"
        for (step, _), y in zip(points, heights, strict=True)
    )
    title = html.escape(_NAMES.get(name, score_name(name)) + (", log scale" if logarithmic else ""))
    bottom = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title} by step">'
        f'<text x="{_LEFT}" y="14">{title}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" class="number end">{format_number(max(values))}</text>'
        f'<text x="{_LEFT - 4}" y="{bottom}" class="number end">{format_number(min(values))}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}" class="number">step {first:,}</text>'
        f'<text x="{_WIDTH - 6}" y="{_HEIGHT - 4}" class="number end">{last:,}</text>'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - 6}" class="axis" />'
        f'<polyline points="{path}" class="line" /></svg>'
    )


_NUM_IMAGES = 4
_WALK = WalkSettings(extent=2.5, num_steps=9, batch_size=64)


def draw_latents(
    folder: Path, model: AutoEncoder, data: DataSet, latents: Sequence[Latent], *, seed: int, title: str
) -> list[Path]:
    """Draw traversals of the live ones among `latents` into the run folder; return the files, none if none is live.

    Raises:
        RunFolderError: a file cannot be written.
    """
    latents = [latent for latent in latents if latent.live]
    if not latents:
        return []
    device = next(model.parameters()).device
    indices = data.sample(_NUM_IMAGES, np.random.default_rng(seed))
    codes = torch.from_numpy(encode(model, data, indices)[0]).to(device)
    directions = latent_directions(model.num_latents, latents)
    directions.save(folder / "directions.safetensors")

    def generate(codes: Tensor) -> Tensor:
        return model.decode(codes).sigmoid() * 2 - 1

    with torch.inference_mode(), ProgressReporter("pictures") as progress:
        written = write_gallery(
            folder,
            generate,
            codes,
            directions,
            latent_labels(latents),
            [f"image {index}" for index in indices],
            walk=_WALK,
            text=PageText(title=title),
            progress=progress,
        )
        frames = traverse_all(
            generate, codes[:1], directions, extent=_WALK.extent, num_steps=_WALK.num_steps, batch_size=64
        )
    gif = write_animation(folder / "traversals" / "latents.gif", frames[:, 0], _WALK.values, title="All live latents")
    return [folder / "directions.safetensors", *written, gif]


def latent_directions(num_latents: int, latents: Sequence[Latent]) -> Directions:
    """Return the latents as directions: direction i moves latent `latents[i].index` by 1."""
    axes = torch.eye(num_latents)[[latent.index for latent in latents]]
    return Directions(
        vectors=axes,
        dual_vectors=axes.clone(),
        mean=torch.zeros(num_latents),
        span=torch.eye(num_latents),
        scales=torch.ones(num_latents),
        metadata={
            "method": "latents of an autoencoder",
            "latent": [latent.index for latent in latents],
            "kl": [latent.kl for latent in latents],
            "factor": [latent.factor for latent in latents],
        },
    )


def latent_labels(latents: Sequence[Latent]) -> list[DirectionLabel]:
    """Return the labels of the directions: each latent's index, KL divergence, factor and share of its entropy."""
    labels = []
    for place, latent in enumerate(latents):
        scores: dict[str, float] = {"KL": latent.kl}
        marks: tuple[str, ...] = ()
        if latent.factor is not None and latent.live:
            scores["entropy_share"], marks = latent.shares[latent.factor], (latent.factor,)
        labels.append(DirectionLabel(index=place, name=f"Latent {latent.index}", scores=scores, marks=marks))
    return labels
