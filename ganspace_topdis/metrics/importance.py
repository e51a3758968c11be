"""DCI and DCI-ES: metrics of how much each latent matters for predicting each factor.

With R_jk the importance of latent j for predicting factor k,

    D = sum_j (sum_k R_jk / sum R) (1 - H_K(R_j.)),   C = sum_k (sum_j R_jk / sum R) (1 - H_D(R_.k)),

H_n being the entropy to base n of the normalized row or column, and I the mean accuracy (Eastwood & Williams 2018,
section 2). `dci` takes the gradient-boosted trees of Locatello et al. 2019 (disentanglement_lib: dci.py).

DCI-ES adds, from the least loss l(c) that a probe of capacity c reaches, and its baseline b of a constant guess,

    E = mean_k 1 - 2 / (b_k (c_max - c_min)) * integral of l_k(c) - l_k(c_max) over c,   S = K / D

(Eastwood et al. 2023, sections 4.1 and 4.2). `dci_es` takes their random forests, whose capacity is their depth
(metrics/explitcitness.py, src/simple_gather.py, train_model_random_forest.py).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.boosting import boost
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, check_split, rng_of

__all__ = ["DCI", "DCIES", "dci", "dci_es"]

DEPTHS = (1, 2, 3, 4, 8, 10, 12, 14, 16, 18, 20, 32)
"""The capacities of Eastwood et al. 2023 (configs/random_forest/config.yaml)."""

_NUM_TREES = 100
_TREES_PER_SEED = 10
_MAX_ROWS = 10_000


@dataclass(frozen=True)
class DCI:
    """The four numbers, each in [0, 1], and what they come from.

    Attributes:
        disentanglement: whether a latent matters for one factor only.
        completeness: whether one latent suffices for a factor.
        informativeness_train: mean accuracy on the training set.
        informativeness_test: mean accuracy on the test set.
        importances: (D, K) of latents for the factors that vary.
    """

    disentanglement: float
    completeness: float
    informativeness_train: float
    informativeness_test: float
    importances: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The four numbers for JSON."""
        return {
            "disentanglement": self.disentanglement,
            "completeness": self.completeness,
            "informativeness_train": self.informativeness_train,
            "informativeness_test": self.informativeness_test,
        }


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> DCI:
    """Disentanglement, completeness and informativeness.

    Constant latents have no importance, and with nothing but those D and C are 0. Duplicates share the importance:
    they lower completeness, not D. Trees see only the order of a latent's values, and those closer than 1e-7 as one, as
    scikit-learn's do: the scores are invariant under rescaling that leaves values farther apart than that, and under
    permuting up to the order in which equals are tried.

    Args:
        codes: (N, D) mean codes, at least two latents; the literature takes N = 10,000.
        factors: (N, K); constant ones are dropped, continuous ones cut into bins. Needs no order of the values.
        codes_test: (M, D); the literature takes M = 5,000. A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split, and of the order in which equally good latents are tried. `jobs` does not change scores.
        jobs: factors fitted at once, in threads; one per processor by default.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or fewer than two latents.
    """
    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed, min_factors=2, min_latents=2)

    def fit(k: int) -> Any:
        return boost(train.codes, train.labels[:, k], test.codes, test.labels[:, k], seed + k)

    with ThreadPoolExecutor(max_workers=jobs or os.cpu_count()) as pool:  # the trees release the interpreter
        fits = list(pool.map(fit, range(train.num_factors)))
    importances = np.stack([fit.importances for fit in fits], axis=1)
    return DCI(
        disentanglement=_concentration(importances),
        completeness=_concentration(importances.T),
        informativeness_train=float(np.mean([fit.accuracy_train for fit in fits])),
        informativeness_test=float(np.mean([fit.accuracy_test for fit in fits])),
        importances=importances,
    )


@dataclass(frozen=True)
class DCIES:
    """The five numbers, and what they come from.

    Attributes:
        disentanglement: whether a latent matters for one factor only, in [0, 1].
        completeness: whether one latent suffices for a factor, in [0, 1].
        informativeness: one minus the mean test loss at the best capacity; below 0 if worse than a constant guess.
        explicitness: how little capacity the least loss needs; 1 if the smallest probe reaches it.
        size: K / D, 1 if there are as many latents as factors.
        importances: (D, K) at the best capacity.
        losses: (depths, K), the curves, before the running minimum.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    explicitness: float
    size: float
    importances: Array = field(compare=False, repr=False)
    losses: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The five numbers for JSON."""
        return {
            "disentanglement": self.disentanglement,
            "completeness": self.completeness,
            "informativeness": self.informativeness,
            "explicitness": self.explicitness,
            "size": self.size,
        }


def dci_es(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> DCIES:
    """Disentanglement, completeness, informativeness, explicitness and size of Eastwood et al. 2023.

    The loss is one minus the accuracy for discrete factors (baseline: one minus the commonest value's share) and one
    minus R^2 for continuous ones (baseline 1). One forest of 100 trees is grown to depth 32 for each factor and cut
    back to smaller depths, where the authors grow one for each depth: splits do not depend on the depths below, so
    both are draws of the same distribution. Read E beside I: where nothing can be learned the curve is flat and E is
    near 1. A forest tries sqrt(D) latents per split and must use one of them, so that useless latents get importance:
    with three latents or fewer it tries one, and D and C of a perfect code of a few hundred points are below 0.5.
    Constant latents have no importance but count for S; duplicates lower C and S.

    Args:
        codes: (N, D) mean codes, at least two latents; at most 10,000 rows, drawn at random, are learned from.
        factors: (N, K); constant ones are dropped. Needs no order of discrete values.
        codes_test: (M, D). A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split and the forests.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or fewer than two latents.
    """
    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed, min_factors=2, min_latents=2)
    if len(train.codes) > _MAX_ROWS:
        train = train.rows(rng_of(seed).permutation(len(train.codes))[:_MAX_ROWS])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # growing a tree releases the interpreter
        curves = list(pool.map(lambda k: _curve(train, test, k, seed + k), range(train.num_factors)))
    losses = np.stack([loss for loss, _, _ in curves], axis=1)
    best = int(losses.mean(axis=1).argmin())
    importances = np.stack([each[best] for _, each, _ in curves], axis=1)
    explicit = [_explicitness(loss, baseline) for loss, _, baseline in curves]
    return DCIES(
        disentanglement=_concentration(importances),
        completeness=_concentration(importances.T),
        informativeness=float(1 - losses[best].mean()),
        explicitness=float(np.mean(explicit)),
        size=train.num_factors / train.num_latents,
        importances=importances,
        losses=losses,
    )


def _explicitness(losses: Array, baseline: float) -> float:
    """E of one loss-capacity curve over `DEPTHS`, by the trapezoidal rule on its running minimum."""
    above = np.minimum.accumulate(losses) - losses.min()
    area = float((np.diff(DEPTHS) * (above[1:] + above[:-1]) / 2).sum())
    return 1 - 2 * area / (baseline * (DEPTHS[-1] - DEPTHS[0]))


def _curve(train: LabeledCodes, test: LabeledCodes, factor: int, seed: int) -> tuple[Array, Array, float]:
    """Test loss (depths,) and importances (depths, D) of forests cut back to each depth, and the baseline."""
    continuous = bool(train.continuous[factor])
    target = (train.values if continuous else train.labels)[:, factor]
    truth = (test.values if continuous else test.labels)[:, factor]
    classes, limits, columns = np.unique(target), np.array(DEPTHS), test.codes.astype(np.float32)
    outputs = np.zeros((len(DEPTHS), len(truth), 1 if continuous else len(classes)))
    importances = np.zeros((len(DEPTHS), train.num_latents))
    for tree in _grow_trees(train.codes, target if continuous else np.searchsorted(classes, target), continuous, seed):
        value = tree.value[:, 0, :] if continuous else _class_shares(tree)
        nodes = (tree.children_left, tree.children_right, tree.feature, tree.threshold, value)
        _add_outputs(columns, limits, *nodes, outputs)
        importances += _tree_importances(tree, train.num_latents)
    importances /= np.maximum(importances.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    if continuous:
        predicted = outputs[:, :, 0] / _NUM_TREES
        spread = float((truth if np.ptp(truth) > 0 else target).var())  # a factor may be constant in the test set
        return ((predicted - truth) ** 2).mean(axis=1) / max(spread, np.finfo(float).tiny), importances, 1.0
    guess = classes[outputs.argmax(axis=2)]
    commonest = float(np.unique(target, return_counts=True)[1].max() / len(target))
    return (guess != truth).mean(axis=1), importances, 1 - commonest


def _grow_trees(codes: Array, target: Array, continuous: bool, seed: int) -> Iterator[Any]:
    """Yield the trees of scikit-learn's random forest one by one: the same draws, and so the same trees.

    `RandomForestClassifier.fit` itself changes the process's warning filters for a moment, which other threads see.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    columns, num_rows = codes.astype(np.float32), len(codes)
    for part in range(_NUM_TREES // _TREES_PER_SEED):
        states = np.random.RandomState(_seed_of([seed, part]))
        for _ in range(_TREES_PER_SEED):
            state = states.randint(np.iinfo(np.int32).max)
            drawn = np.random.RandomState(state).randint(0, num_rows, num_rows, dtype=np.int32)
            if continuous:
                tree = DecisionTreeRegressor(max_depth=DEPTHS[-1], random_state=state)
            else:
                tree = DecisionTreeClassifier(max_depth=DEPTHS[-1], max_features="sqrt", random_state=state)
            weights = np.bincount(drawn, minlength=num_rows).astype(np.float64)
            yield tree.fit(columns, target, sample_weight=weights).tree_


def _seed_of(state: list[int]) -> int:
    return int(np.random.SeedSequence(state).generate_state(1)[0] % 2**31)


def _class_shares(tree: Any) -> Array:
    """The share of each class among the training rows of each node (nodes, C), whatever the version.

    Since scikit-learn 1.4 `tree.value` holds the shares, before that the numbers of rows, by which large leaves would
    outvote small ones.
    """
    counts = tree.value[:, 0, :]
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _tree_importances(tree: Any, num_latents: int) -> Array:
    """The decrease of impurity by latent (depths, D) of the tree cut back to each depth, each row with sum 1."""
    depth = _node_depths(tree.children_left, tree.children_right)
    split = np.flatnonzero(tree.children_left >= 0)
    left, right = tree.children_left[split], tree.children_right[split]
    weighted = tree.weighted_n_node_samples * tree.impurity
    decrease = weighted[split] - weighted[left] - weighted[right]
    rows = []
    for limit in DEPTHS:
        counted = depth[split] < limit
        row = np.bincount(tree.feature[split][counted], decrease[counted], minlength=num_latents)
        rows.append(row / row.sum() if row.sum() > 0 else row)
    return np.stack(rows)


@njit(cache=True, nogil=True)
def _node_depths(left, right):  # type: ignore[no-untyped-def]
    """The depth of every node; a parent comes before its children."""
    depth = np.zeros(len(left), dtype=np.int64)
    for node in range(len(left)):
        if left[node] >= 0:
            depth[left[node]], depth[right[node]] = depth[node] + 1, depth[node] + 1
    return depth


@njit(cache=True, nogil=True)
def _add_outputs(columns, limits, left, right, feature, threshold, value, outputs):  # type: ignore[no-untyped-def]
    """Add to `outputs` (depths, rows, C) the value of the node where each row stops at each depth."""
    for row in range(len(columns)):
        node, depth = 0, 0
        for place in range(len(limits)):
            while depth < limits[place] and left[node] >= 0:
                node = left[node] if columns[row, feature[node]] <= threshold[node] else right[node]
                depth += 1
            for c in range(value.shape[1]):
                outputs[place, row, c] += value[node, c]


def _concentration(importances: Array) -> float:
    """One minus the normalized entropy of each row, weighted by the rows' sums; 0 when all is 0."""
    if importances.sum() == 0:
        return 0.0
    shares = importances + 1e-11
    shares /= shares.sum(axis=1, keepdims=True)
    entropies = -(shares * np.log(shares)).sum(axis=1) / np.log(importances.shape[1])
    return float(np.average(1 - entropies, weights=importances.sum(axis=1)))
