"""The page of `topdis-gan metrics`: scores with their cost, live latents, and two maps of latents and factors.

The first map shows the share of each factor's entropy that a latent contains (mutual information, 20 bins), the second
the importance of each latent in the boosted trees of DCI. The page is one file that loads nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize, entropy, mutual_information_matrix
from ganspace_topdis.metrics.evaluation import NUM_TRAIN, Report
from ganspace_topdis.metrics.groups import METRICS, score_of
from ganspace_topdis.metrics.importance import dci
from ganspace_topdis.metrics.inputs import Array, check_pair, rng_of
from ganspace_topdis.metrics.normalized_information import live_latents
from ganspace_topdis.report.page import build_page, paragraph, section
from ganspace_topdis.report.table import Table, to_html
from ganspace_topdis.report.values import MISSING, format_number
from ganspace_topdis.runs.files import write_text

__all__ = ["write_metrics_page"]

_STATES = {(True, True): "yes", (True, False): "range", (False, True): "IQR", (False, False): "no"}
"""Live by its range, live by its IQR -> the text in the table."""
_HEADLINES = ("mig", "dci_disentanglement", "infomec_modularity", "infomec_compactness", "infomec_explicitness")
_SHARES_NOTE = (
    "Mutual information of a latent (20 bins) and a factor, divided by the factor's entropy. A latent is live by its "
    "range if that is more than a 20th of the largest one, and by its interquartile range (IQR) if that is more than a "
    "tenth of the largest one (InfoMEC's two definitions). Gray latents are live by neither definition."
)


def write_metrics_page(path: Path, report: Report, codes: Array, factors: Array, *, seed: int = 0) -> Path:
    """Write the page of a report.

    Args:
        path: the file.
        report: the scores.
        codes: (N, D); the maps are computed from at most 10,000 rows in random order.
        factors: (N, K).
        seed: seed of the random order and of the trees.

    Raises:
        InvalidArgumentError: no factor varies.
        RunFolderError: the file cannot be written.
    """
    rows = rng_of(seed).permutation(len(codes))[:NUM_TRAIN]
    data = check_pair(codes[rows], factors[rows])
    entropies = np.array([entropy(column) for column in data.labels.T])
    shares = mutual_information_matrix(discretize(data.codes), data.labels) / entropies
    names = [report.names[k] for k in data.columns]
    live = {name: live_latents(data.codes, name) for name in ("range", "iqr")}
    deviations = data.codes.std(axis=0)
    try:
        importances = dci(codes[rows], factors[rows], seed=seed).importances
        if importances.shape[1] != len(names):
            raise InvalidArgumentError("a factor varies only in the rows that the trees are not fit on")
    except InvalidArgumentError as error:
        importance = paragraph(f"Undefined: {error}.", kind="note")
    else:
        note = "Importance of each latent in the boosted trees of DCI; a column sums to 1."
        importance = to_html(_map(importances, names, live, deviations, note))
    page = build_page(
        f"Metrics of {Path(report.codes).name}",
        [
            section("Scores", to_html(_scores(report))),
            section(
                "Information of each latent about each factor",
                to_html(_map(shares, names, live, deviations, _SHARES_NOTE)),
            ),
            section("Importance of each latent for each factor", importance),
        ],
        subtitle=f"{report.num_points:,} points with {codes.shape[1]} latents; {len(names)} factors vary. "
        f"Computed in {report.seconds:.1f} s.",
        verdict=_verdict(report, live),
    )
    return write_text(path, page)


def _verdict(report: Report, live: Mapping[str, Array]) -> str:
    scores = {key: value for each in report.measured for key, value in each.scores.items()}
    shown = [key for key in _HEADLINES if key in scores] or list(scores)[:3]
    headlines = [f"{score_of(key).name} {format_number(scores[key], num_digits=3)}" for key in shown]
    num_live, num_latents = int(np.sum(live["range"] | live["iqr"])), len(live["range"])
    problems = [each.group for each in report.measured if each.problem is not None]
    undefined = f" Undefined: {', '.join(problems)}." if problems else ""
    return f"{'; '.join(headlines) or 'No score is defined'}. {num_live} of {num_latents} latents are live.{undefined}"


def _scores(report: Report) -> Table:
    """Return one row per score; scores of at most 1 that are better if higher are tinted."""
    titles = {group.name: group.title for group in METRICS}
    rows, tints = [], {}
    for each in report.measured:
        cost = f"{each.seconds:.2f}"
        if each.problem is not None:
            rows.append((f"{titles[each.group]} is undefined: {each.problem}", MISSING, cost))
        for key, value in each.scores.items():
            score = score_of(key)
            if score.higher_is_better and 0 <= value <= 1:
                tints[len(rows), 1] = 0.8 * value
            rows.append((score.name, f"{value:.4f}", cost))
            cost = ""
    return Table(header=("metric", "score", "seconds"), rows=tuple(rows), tints=tints)


def _map(values: Array, names: Sequence[str], live: Mapping[str, Array], deviations: Array, note: str) -> Table:
    """Return one row per latent and one column per factor; the square root makes small values visible."""
    rows = []
    for j, shares in enumerate(values):
        state = _STATES[bool(live["range"][j]), bool(live["iqr"][j])]
        rows.append((str(j), *(f"{share:.2f}" for share in shares), format_number(deviations[j]), state))
    return Table(
        header=("latent", *names, "std", "live"),
        rows=tuple(rows),
        note=note,
        tints={(j, k + 1): max(float(share), 0.0) ** 0.5 for (j, k), share in np.ndenumerate(values)},
        muted=[j for j in range(len(rows)) if not (live["range"][j] or live["iqr"][j])],
    )
