"""Metrics that compare directions of the latent space with factors: MCC, and IWO with IWR.

    MCC   mean_k |corr(z_p(k), v_k)| with the best one-to-one matching p; Pearson or Spearman
          (Hyvarinen & Morioka 2016; Khemakhem et al. 2020, section 5; ilkhem/icebeem metrics/mcc.py)
    IWO   1 - sum_lm sqrt(a_l b_m) (u_l . w_m)^2, u and w the orthonormal bases of two factors, ordered by importance
          a and b, with sum 1; mean over pairs of factors (Geyer et al. 2024, section 3.3)
    IWR   1 - H_D(a), mean over factors (section 3.4)

A factor's basis comes from a chain of linear maps that drop one latent dimension at a time, each followed by a
network that predicts the factor; the dimension that is dropped first matters least (section 3.2). Importance is the
loss that a dimension saves, over the loss of a constant guess, and what is left to 1 is spread evenly, as in the
authors' code (iwo.py: get_basis, get_importance, get_iwo).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array, Labelled, check_pair, check_split
from ganspace_topdis.metrics.predictors import squared_correlations

__all__ = ["IWO", "iwo", "mcc"]

WIDTH = 64
NUM_STEPS = 500
BATCH_SIZE = 128
LEARNING_RATE = 5e-3
MAX_ROWS = 10_000


def mcc(codes: ArrayLike, factors: ArrayLike, *, method: Literal["pearson", "spearman"] = "pearson") -> float:
    """The mean correlation coefficient, in [0, 1]; 1 is perfect.

    Independent codes score about the largest chance correlation, which falls as 1 / sqrt(N). Constant latents
    correlate with nothing; a duplicate is never matched; with fewer latents than factors, those without one score 0.
    Whole numbers are taken to be in order; text is not, and its correlation ratio stands for the correlation.
    Invariant under permuting and rescaling latents; Spearman also under any increasing map of a latent.

    Args:
        codes: (N, D).
        factors: (N, K); constant ones are dropped.
        method: "pearson" or "spearman", which correlates ranks.

    Raises:
        InvalidArgumentError: malformed arrays, no factor varies, or an unknown method.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import rankdata

    if method not in ("pearson", "spearman"):
        raise InvalidArgumentError(f"method {method!r} is not allowed; use pearson or spearman")
    data = check_pair(codes, factors)
    if method == "spearman":
        ranks = (rankdata(data.codes, axis=0), rankdata(data.values, axis=0))
        data = Labelled(ranks[0], data.labels, ranks[1], data.continuous, data.unordered, data.columns)
    correlations = np.sqrt(np.clip(squared_correlations(data), 0, 1))
    matched = correlations[linear_sum_assignment(-correlations)]
    return float(matched.sum() / data.num_factors)


@dataclass(frozen=True)
class IWO:
    """The two numbers, each in [0, 1], and what they come from.

    Attributes:
        iwo: whether factors lie in orthogonal subspaces.
        iwr: whether a factor lies in few dimensions.
        importances: (K, D), of each factor's basis, the most important dimension first.
        bases: (K, D, D), the basis vectors in columns.
    """

    iwo: float
    iwr: float
    importances: Array = field(compare=False, repr=False)
    bases: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The two numbers for JSON."""
        return {"iwo": self.iwo, "iwr": self.iwr}


def iwo(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> IWO:
    """Importance-weighted orthogonality and rank of Geyer et al. 2024.

    Latents are standardised, constant ones stay 0. A rotated code scores as the original. A duplicated latent spans
    one direction with its twin, which costs nothing. A factor that cannot be predicted has even importances, and
    two such factors score 1 - sum_lm (u_l . w_m)^2 / D = 0. Where the authors train one large network per dimension
    and factor to convergence, these have one hidden layer of 64 units and 500 steps of Adam, all at once; the
    importances come from the test loss: one minus the accuracy, or one minus R^2 for continuous factors.

    Args:
        codes: (N, D) mean codes, at least two latents; at most 10,000 rows, drawn at random, are learnt from.
        factors: (N, K); constant ones are dropped. Needs no order of discrete values.
        codes_test: (M, D). A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split and the networks.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or fewer than two latents.
    """
    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed, min_factors=2, min_latents=2)
    losses, baselines, chains = _fit(train, test, seed)
    importances = np.stack([importance_of(*each) for each in zip(losses, baselines, strict=True)])
    bases = np.stack([basis_of(chain) for chain in chains])
    return IWO(
        iwo=float(np.mean(_orthogonality(importances, bases))),
        iwr=float(np.mean([rank_score(each) for each in importances])),
        importances=importances,
        bases=bases,
    )


def importance_of(losses: Array, baseline: float) -> Array:
    """The importance (D,) of the basis vectors, the first first.

    Args:
        losses: (D,), of the networks that see the first 1, 2, ..., D basis vectors.
        baseline: of a constant guess.
    """
    least = np.minimum.accumulate(np.append(baseline, losses))
    saved = (least[:-1] - least[1:]) / baseline
    return saved + max(0.0, 1 - float(saved.sum())) / len(saved)


def basis_of(chain: Array) -> Array:
    """The orthonormal basis (D, D), in columns, the most important direction first.

    Args:
        chain: (D - 1, D, D); map i takes the first D - i coordinates to the first D - i - 1, the rest being 0.
    """
    dim = chain.shape[1]
    product, dropped = np.eye(dim), np.empty((dim, 0))
    for i, step in enumerate(chain):
        product = step[: dim - i - 1, : dim - i] @ product
        spanned = np.concatenate([product.T, dropped], axis=1)
        last = np.linalg.qr(spanned, mode="complete")[0][:, -1:]
        dropped = np.concatenate([dropped, last], axis=1)
    first = np.linalg.qr(dropped, mode="complete")[0][:, -1:]
    return np.concatenate([dropped, first], axis=1)[:, ::-1]


def rank_score(importance: Array) -> float:
    """IWR of one factor: one minus the entropy of its importances (D,) to base D.

    The authors' code adds 1e-4 within the logarithm, which makes it differ by up to 5e-4 and exceed 1.
    """
    held = importance[importance > 0]
    return float(1 + (held * np.log(held)).sum() / np.log(len(importance)))


def _orthogonality(importances: Array, bases: Array) -> list[float]:
    """IWO of each pair of factors."""
    roots = np.sqrt(importances)
    return [
        float(1 - roots[j] @ (bases[j].T @ bases[i]) ** 2 @ roots[i])
        for i in range(len(bases))
        for j in range(i + 1, len(bases))
    ]


class _Chains(nn.Module):
    """For each of K factors the maps that drop a dimension, and a network before each of them and after the last."""

    def __init__(self, num_factors: int, dim: int, num_outputs: Array, rng: torch.Generator) -> None:
        super().__init__()
        most = int(num_outputs.max())
        kept = torch.arange(dim)[None, :] < torch.arange(dim - 1, 0, -1)[:, None]
        self.kept = kept.float()[None, :, :, None]
        self.chain = nn.Parameter(torch.eye(dim).expand(num_factors, dim - 1, dim, dim).clone())
        self.first = nn.Parameter(torch.randn(num_factors, dim, dim, WIDTH, generator=rng) * (2 / dim) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(num_factors, dim, 1, WIDTH))
        self.second = nn.Parameter(torch.randn(num_factors, dim, WIDTH, most, generator=rng) / WIDTH**0.5)
        self.second_bias = nn.Parameter(torch.zeros(num_factors, dim, 1, most))
        absent = torch.arange(most)[None, :] >= torch.from_numpy(num_outputs)[:, None]
        self.absent = absent[:, None, None, :]

    def steps(self) -> Tensor:
        """The maps (K, D - 1, D, D), the rows that are dropped being 0."""
        return self.chain * self.kept

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (K, D, N, C) of latents (N, D): by factor and by how many dimensions were dropped."""
        product = torch.eye(x.shape[1]).expand(len(self.chain), -1, -1)
        products = [product]
        for step in self.steps().unbind(dim=1):
            product = step @ product
            products.append(product)
        reduced = torch.matmul(x, torch.stack(products, dim=1).transpose(2, 3))
        hidden = nn.functional.leaky_relu(torch.matmul(reduced, self.first) + self.first_bias)
        outputs = torch.matmul(hidden, self.second) + self.second_bias
        return outputs.masked_fill(self.absent, -1e9)


def _fit(train: Labelled, test: Labelled, seed: int) -> tuple[Array, Array, Array]:
    """Test losses (K, D), of networks that see 1 to D dimensions, baselines (K,), and chains (K, D - 1, D, D)."""
    rng = torch.Generator().manual_seed(seed)
    train = train.rows(torch.randperm(len(train.codes), generator=rng)[:MAX_ROWS].numpy())
    mean, deviation = train.codes.mean(axis=0), train.codes.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    x_train, x_test = (torch.from_numpy(((x.codes - mean) / scale).astype(np.float32)) for x in (train, test))
    targets = [_Target(train, test, k) for k in range(train.num_factors)]
    model = _Chains(train.num_factors, train.num_latents, np.array([each.num_outputs for each in targets]), rng)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_STEPS)
    for _ in range(NUM_STEPS):
        rows = torch.randint(len(x_train), (min(BATCH_SIZE, len(x_train)),), generator=rng)
        outputs = model(x_train[rows])
        loss = torch.stack([each.loss(out, rows) for each, out in zip(targets, outputs, strict=True)]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        parts = [model(x_test[rows]) for rows in torch.arange(len(x_test)).split(1024)]
        outputs = torch.cat(parts, dim=2)
        losses = np.stack([each.test_loss(out)[::-1] for each, out in zip(targets, outputs, strict=True)])
        return losses, np.array([each.baseline for each in targets]), model.steps().double().numpy()


class _Target:
    """One factor as the networks see it: classes, or a standardised number."""

    def __init__(self, train: Labelled, test: Labelled, factor: int) -> None:
        self.continuous = bool(train.continuous[factor])
        if self.continuous:
            mean, deviation = train.values[:, factor].mean(), train.values[:, factor].std()
            known, wanted = ((x.values[:, factor] - mean) / deviation for x in (train, test))
            self.num_outputs, self.baseline = 1, max(float(np.mean(wanted**2)), np.finfo(float).tiny)
            self._known, self._wanted = torch.from_numpy(known).float(), torch.from_numpy(wanted).float()
            return
        classes, known, counts = np.unique(train.labels[:, factor], return_inverse=True, return_counts=True)
        place = np.searchsorted(classes, test.labels[:, factor]).clip(max=len(classes) - 1)
        wanted = np.where(classes[place] == test.labels[:, factor], place, -1)
        self.num_outputs, self.baseline = len(classes), float(1 - counts.max() / counts.sum())
        self._known, self._wanted = torch.from_numpy(known), torch.from_numpy(wanted)

    def loss(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """The training loss of outputs (D, n, C), summed over the networks."""
        if self.continuous:
            return ((outputs[..., 0] - self._known[rows]) ** 2).mean(dim=1).sum()
        labels = self._known[rows].expand(len(outputs), -1)
        return nn.functional.cross_entropy(outputs.transpose(1, 2), labels, reduction="none").mean(dim=1).sum()

    def test_loss(self, outputs: Tensor) -> Array:
        """The squared error or the share of errors (D,) of outputs (D, M, C)."""
        if self.continuous:
            return np.asarray(((outputs[..., 0] - self._wanted) ** 2).mean(dim=1).double())
        return np.asarray((outputs.argmax(dim=2) != self._wanted).double().mean(dim=1))
