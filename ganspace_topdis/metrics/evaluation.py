"""All metrics of one representation: a dictionary of scores, what each costs, and two representations compared.

    evaluate(codes, factors)                    {"mig": 0.31, "dci_disentanglement": 0.42, ...}
    measure(codes, factors)                     the same with seconds, and why a metric is undefined
    compare(codes_a, codes_b, factors)          differences with intervals over examples
    DisentanglementMetrics(), update, compute   for codes that come batch by batch

A group is what is asked for ("dci"); it gives one or more scores. Closed forms see at most 10,000 of the rows given,
as the literature does; metrics that learn hold a third of 15,000 out, or use the test set; FactorVAE and beta-VAE
score draw their batches from all rows.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.importance import dci, dci_es
from ganspace_topdis.metrics.information import edi, infomec, mig, modularity
from ganspace_topdis.metrics.inputs import Array, as_array
from ganspace_topdis.metrics.interventions import beta_vae_score, factor_vae_score, irs
from ganspace_topdis.metrics.predictors import explicitness, sap, snc_nk
from ganspace_topdis.metrics.subspaces import iwo, mcc
from ganspace_topdis.metrics.unsupervised import unsupervised_scores

__all__ = [
    "METRICS",
    "Compared",
    "DisentanglementMetrics",
    "Measured",
    "MetricGroup",
    "compare",
    "evaluate",
    "measure",
    "metric_groups",
]

NUM_TRAIN, NUM_TEST = 10_000, 5_000


@dataclass(frozen=True, eq=False)
class Sample:
    """What a group's function sees: the rows for closed forms, for learning, and all of them; and a seed."""

    codes: Array
    factors: Array
    split: tuple[Array, ...]
    everything: tuple[Array, Array]
    seed: int


@dataclass(frozen=True, kw_only=True)
class MetricGroup:
    """A group of scores that are computed together.

    Attributes:
        name: what is asked for.
        title: for tables.
        run: the scores of a sample, by key.
        learns: whether it trains a predictor.
        lower_is_better: whether 0 is best.
    """

    name: str
    title: str
    run: Callable[[Sample], dict[str, float]]
    learns: bool = False
    lower_is_better: bool = False


def _named(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in scores.items()}


def _dci(s: Sample) -> dict[str, float]:
    scores = dci(*s.split, seed=s.seed).as_dict()
    scores["informativeness"] = scores.pop("informativeness_test")
    return _named("dci", {name: value for name, value in scores.items() if name != "informativeness_train"})


def _snc_nk(s: Sample) -> dict[str, float]:
    scores = snc_nk(*s.split, seed=s.seed)
    return {"snc": scores.snc, "nk": scores.nk}


def _mcc(s: Sample) -> dict[str, float]:
    return {
        "mcc_pearson": mcc(s.codes, s.factors),
        "mcc_spearman": mcc(s.codes, s.factors, method="spearman"),
    }


def _unsupervised(s: Sample) -> dict[str, float]:
    scores = unsupervised_scores(s.codes).as_dict()
    return {name: value for name, value in scores.items() if name != "gaussian_wasserstein_correlation"}


METRICS: tuple[MetricGroup, ...] = (
    MetricGroup(
        name="factor-vae",
        title="FactorVAE score",
        run=lambda s: {"factor_vae": factor_vae_score(*s.everything, seed=s.seed)},
    ),
    MetricGroup(
        name="beta-vae",
        title="beta-VAE score",
        run=lambda s: {"beta_vae": beta_vae_score(*s.everything, seed=s.seed)},
        learns=True,
    ),
    MetricGroup(name="irs", title="IRS", run=lambda s: {"irs": irs(s.codes, s.factors)}),
    MetricGroup(name="mig", title="MIG", run=lambda s: {"mig": mig(s.codes, s.factors)}),
    MetricGroup(name="modularity", title="Modularity", run=lambda s: {"modularity": modularity(s.codes, s.factors)}),
    MetricGroup(
        name="infomec",
        title="InfoMEC",
        run=lambda s: _named("infomec", infomec(s.codes, s.factors).as_dict()),
    ),
    MetricGroup(
        name="edi",
        title="EDI",
        run=lambda s: _named("edi", edi(s.codes, s.factors, seed=s.seed).as_dict()),
        learns=True,
    ),
    MetricGroup(
        name="explicitness",
        title="Explicitness",
        run=lambda s: {"explicitness": explicitness(*s.split, seed=s.seed).test},
        learns=True,
    ),
    MetricGroup(name="sap", title="SAP", run=lambda s: {"sap": sap(*s.split, seed=s.seed)}, learns=True),
    MetricGroup(
        name="sap-continuous",
        title="SAP, continuous",
        run=lambda s: {"sap_continuous": sap(s.codes, s.factors, s.codes, s.factors, continuous=True)},
    ),
    MetricGroup(name="snc-nk", title="SNC and NK", run=_snc_nk, learns=True),
    MetricGroup(name="dci", title="DCI", run=_dci, learns=True),
    MetricGroup(
        name="dci-es",
        title="DCI-ES",
        run=lambda s: _named("dci_es", dci_es(*s.split, seed=s.seed).as_dict()),
        learns=True,
    ),
    MetricGroup(name="mcc", title="MCC", run=_mcc),
    MetricGroup(name="iwo", title="IWO and IWR", run=lambda s: iwo(*s.split, seed=s.seed).as_dict(), learns=True),
    MetricGroup(name="unsupervised", title="Unsupervised", run=_unsupervised, lower_is_better=True),
)
"""In the order of the tables."""


@dataclass(frozen=True)
class Measured:
    """What a group gave.

    Attributes:
        group: its name.
        scores: by key; empty where the group is undefined for the data.
        seconds: what it took.
        problem: why it is undefined, else None.
    """

    group: str
    scores: dict[str, float]
    seconds: float
    problem: str | None = None


def metric_groups(names: Sequence[str] | None, *, learns: bool = True) -> tuple[MetricGroup, ...]:
    """The groups of these names, in the order of the tables; None asks for all, or all that do not learn.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    known = [group.name for group in METRICS]
    if unknown := [name for name in names or () if name not in known]:
        import difflib

        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}? It can be" if near else "choose from"
        raise InvalidArgumentError(f"metric {unknown[0]!r} is unknown; {hint} {', '.join(known)}")
    if names is None:
        return tuple(group for group in METRICS if learns or not group.learns)
    return tuple(group for group in METRICS if group.name in names)


def evaluate(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """The scores of a representation, by key.

    Args:
        codes: (N, D) mean codes.
        factors: (N, K).
        codes_test: (M, D), for metrics that learn. A third of `codes` by default.
        factors_test: (M, K).
        metrics: names of groups (see `METRICS`); all by default, those that are undefined for the data (DCI of one
            latent, say) being left out.
        seed: of every draw.

    Raises:
        InvalidArgumentError: malformed arrays, an unknown name, or a group that was asked for by name is undefined.

    >>> grid = np.array([[i, j] for i in range(4) for j in range(4)])
    >>> evaluate(grid.astype(float), grid, metrics=["mig", "mcc"])["mcc_spearman"]
    1.0
    """
    scores: dict[str, float] = {}
    for measured in measure(codes, factors, codes_test, factors_test, metrics=metrics, seed=seed):
        if measured.problem is not None and metrics is not None:
            raise InvalidArgumentError(f"{measured.group}: {measured.problem}")
        scores |= measured.scores
    return scores


def measure(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[Measured]:
    """Yields what each group gives, as soon as it is known; arguments and errors as `evaluate`'s."""
    groups = metric_groups(metrics)
    sample = _sample(codes, factors, codes_test, factors_test, seed)
    for group in groups:
        start = time.perf_counter()
        try:
            scores, problem = group.run(sample), None
        except InvalidArgumentError as error:
            scores, problem = {}, str(error)
        wrong = [key for key, value in scores.items() if not np.isfinite(value)]
        assert not wrong, f"{wrong} came out as NaN or infinity"
        yield Measured(group.name, scores, time.perf_counter() - start, problem)


@dataclass(frozen=True)
class Compared:
    """One score of two representations of the same examples.

    Attributes:
        key: of the score.
        first: the score of the first.
        second: the score of the second.
        low: lower end of the 95 % interval of second minus first.
        high: upper end.
    """

    key: str
    first: float
    second: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def compare(
    codes_a: ArrayLike,
    codes_b: ArrayLike,
    factors: ArrayLike,
    *,
    metrics: Sequence[str] | None = None,
    num_resamples: int = 50,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Compared]:
    """The scores of two representations of the same examples, with intervals of their difference over examples.

    Resamples are random halves without repetition, the same rows for both. A half has the sampling variance that a
    bootstrap sample has (Efron 1982, section 8.3), and none of its repeated rows, which nearest neighbours and
    held-out accuracy would take for information. The interval is the full difference, plus the 2.5 and 97.5 %
    quantiles of the halves' deviations from their mean.

    Args:
        codes_a: (N, D).
        codes_b: (N, E), row by row of the same examples.
        factors: (N, K).
        metrics: names of groups; all that do not learn by default.
        num_resamples: halves; at least 10.
        seed: of every draw.
        progress: called with the number of samples done and to do.

    Raises:
        InvalidArgumentError: malformed arrays, another number of rows, or a group is unknown or undefined.
    """
    first, second, values = as_array(codes_a), as_array(codes_b), as_array(factors)
    if len(first) != len(second):
        raise InvalidArgumentError(f"{len(first)} and {len(second)} codes; compare codes of the same examples")
    if num_resamples < 10:
        raise InvalidArgumentError(f"num_resamples {num_resamples} is not allowed; use 10 or more")
    names = [group.name for group in metric_groups(metrics, learns=False)]
    rng = np.random.default_rng(seed)
    kept = rng.permutation(len(first))[: NUM_TRAIN + NUM_TEST]
    halves = [kept, *(rng.permutation(kept)[: len(kept) // 2] for _ in range(num_resamples))]
    rows: list[list[dict[str, float]]] = []
    for number, half in enumerate(halves):
        pair = [evaluate(codes[half], values[half], metrics=names, seed=seed) for codes in (first, second)]
        rows.append(pair)
        if progress is not None:
            progress(number + 1, len(halves))
    compared = []
    for key in rows[0][0]:
        drawn = np.array([pair[1][key] - pair[0][key] for pair in rows[1:]])
        low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) + rows[0][1][key] - rows[0][0][key]
        compared.append(Compared(key, rows[0][0][key], rows[0][1][key], float(low), float(high)))
    return compared


class DisentanglementMetrics:
    """Scores of codes that come batch by batch, in a training or evaluation loop.

        metrics = DisentanglementMetrics(metrics=["mig", "dci"])
        for images, factors in batches:
            metrics.update(encode(images), factors)
        scores = metrics.compute()

    A uniform random sample of at most `max_rows` rows is kept, whatever the number of batches.

    Args:
        metrics: names of groups, as `evaluate`'s.
        max_rows: rows that are kept.
        seed: of every draw.

    Raises:
        InvalidArgumentError: an unknown name, or fewer than two rows.
    """

    def __init__(
        self, metrics: Sequence[str] | None = None, *, max_rows: int = NUM_TRAIN + NUM_TEST, seed: int = 0
    ) -> None:
        if max_rows < 2:
            raise InvalidArgumentError(f"max_rows {max_rows} is not allowed; keep 2 or more")
        metric_groups(metrics)
        self._metrics, self._max_rows, self._seed = metrics, max_rows, seed
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._rng = np.random.default_rng(self._seed)
        self._codes: Any = None
        self._factors: Any = None
        self._keys: Any = np.empty(0)

    def update(self, codes: ArrayLike, factors: ArrayLike) -> None:
        """Add a batch of codes (n, D) and factors (n, K).

        Raises:
            InvalidArgumentError: the two differ in rows, or in columns from the batches before.
        """
        new_codes, new_factors = as_array(codes), as_array(factors)
        if new_codes.ndim != 2 or new_factors.ndim != 2 or len(new_codes) != len(new_factors):
            raise InvalidArgumentError(
                f"a batch of codes {new_codes.shape} and factors {new_factors.shape}; give (n, D) and (n, K)"
            )
        if self._codes is None:
            self._codes, self._factors = new_codes[:0], new_factors[:0]
        if new_codes.shape[1] != self._codes.shape[1] or new_factors.shape[1] != self._factors.shape[1]:
            raise InvalidArgumentError("a batch has other columns than those before; call reset for another model")
        keys = np.concatenate([self._keys, self._rng.random(len(new_codes))])
        kept = np.sort(np.argsort(keys, kind="stable")[: self._max_rows])
        self._keys = keys[kept]
        self._codes = np.concatenate([self._codes, new_codes])[kept]
        self._factors = np.concatenate([self._factors, new_factors])[kept]

    def compute(self) -> dict[str, float]:
        """The scores of the rows so far, as `evaluate`.

        Raises:
            InvalidArgumentError: no rows yet, or as `evaluate`.
        """
        if self._codes is None:
            raise InvalidArgumentError("no codes yet; call update with a batch first")
        return evaluate(self._codes, self._factors, metrics=self._metrics, seed=self._seed)


def _sample(
    codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike | None, factors_test: ArrayLike | None, seed: int
) -> Sample:
    everything = (as_array(codes), as_array(factors))
    if everything[0].ndim != 2 or everything[1].ndim != 2 or len(everything[0]) != len(everything[1]):
        raise InvalidArgumentError(
            f"codes {everything[0].shape} and factors {everything[1].shape}; give (N, D) and (N, K)"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(everything[0])) if len(everything[0]) > NUM_TRAIN else np.arange(len(everything[0]))
    closed = tuple(each[order[:NUM_TRAIN]] for each in everything)
    if codes_test is None and factors_test is None:
        split = tuple(each[order[: NUM_TRAIN + NUM_TEST]] for each in everything)
    elif codes_test is None or factors_test is None:
        raise InvalidArgumentError("codes_test and factors_test belong together; give both or neither")
    else:
        held = (as_array(codes_test), as_array(factors_test))
        chosen = rng.permutation(len(held[0]))[:NUM_TEST] if len(held[0]) > NUM_TEST else np.arange(len(held[0]))
        split = (*closed, *(each[chosen] for each in held))
    return Sample(closed[0], closed[1], split, (everything[0], everything[1]), seed)
