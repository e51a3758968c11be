"""Scores as papers print them, to stand beside ours and never to be mixed with them.

Source: the tables for dSprites of "Disentanglement Learning via Topology" (TopDis; Balabin et al., ICML 2024), whose
protocol is 1,000,000 steps, 10 latents and disentanglement_lib's metrics. They were taken over from notes on the
paper, mostly not confirmed against the printed pages, and are therefore marked as unverified throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PUBLISHED", "Published", "published_for"]

_PAPER = "TopDis paper, unverified"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A row of a paper's table.

    Attributes:
        data: the data set, as `open_data` names it without variations.
        method: as `train-vae` names it.
        topdis: whether with the TopDis loss.
        scores: metric -> mean.
        source: the paper, and whether the figures are confirmed.
    """

    data: str
    method: str
    topdis: bool
    scores: Mapping[str, float]
    source: str = _PAPER


def _row(method: str, topdis: bool, *scores: float) -> Published:
    names = ("factor_vae", "mig", "sap", "dci_disentanglement")
    return Published(data="dsprites", method=method, topdis=topdis, scores=dict(zip(names, scores, strict=True)))


PUBLISHED = (
    _row("beta-tcvae", False, 0.810, 0.332, 0.045, 0.543),
    _row("beta-vae", False, 0.807, 0.272, 0.065, 0.440),
    _row("control-vae", False, 0.806, 0.333, 0.056, 0.557),
    _row("factor-vae", False, 0.819, 0.295, 0.053, 0.534),
    _row("dava", False, 0.746, 0.253, 0.024, 0.395),
    _row("beta-tcvae", True, 0.821, 0.341, 0.051, 0.556),
    _row("beta-vae", True, 0.833, 0.348, 0.066, 0.506),
    _row("control-vae", True, 0.810, 0.344, 0.059, 0.578),
    _row("factor-vae", True, 0.824, 0.356, 0.082, 0.521),
    _row("dava", True, 0.807, 0.344, 0.048, 0.551),
)


def published_for(settings: Mapping[str, Any]) -> Published | None:
    """The published row that a cell's `train-vae` settings come closest to; None where there is none.

    Reduced and correlated versions of a data set have rows too: the report shows the figures as the paper's, and
    says that the protocols differ. A run with another loss in RTD's place has none.

    >>> published_for({"data": "dsprites", "method": "beta-vae", "topdis": {"weight": 5.0}}).scores["mig"]
    0.348
    """
    data = str(settings.get("data", "")).partition(":")[0].partition("-")[0]
    term = settings.get("topdis") or {}
    topdis = term.get("weight", 1) > 0 and bool(term)
    if topdis and term.get("loss", "rtd") != "rtd":
        return None
    matching = (row for row in PUBLISHED if (row.data, row.method) == (data, settings.get("method")))
    return next((row for row in matching if row.topdis == topdis), None)
