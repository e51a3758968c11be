"""The networks that metrics train, many small ones at once, each step costing a few batched products.

    fit_classifiers   predict factors from latents, each network through a mask of its own: K networks with all
                      latents and K without one of them (SNC and NK), or one that bounds I(z; v_k) (EDI)
    fit_chains        predict factors while linear maps drop one dimension at a time (IWO)

This is the only file of the package that imports torch; metrics import it when they train.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganspace_topdis.metrics.estimators import entropy
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, rng_of, varying
from ganspace_topdis.runs.devices import torch_defaults

__all__ = ["Fit", "fit_chains", "fit_classifiers", "joint_information"]

WIDTH = 256
NUM_STEPS = 300
BATCH_SIZE = 256
LEARNING_RATE = 1e-2
CHAIN_WIDTH = 64
CHAIN_STEPS = 500
CHAIN_BATCH_SIZE = 128
CHAIN_LEARNING_RATE = 5e-3
MAX_ROWS = 10_000
_CHECK_EVERY = 100


@dataclass(frozen=True, eq=False)
class Fit:
    """Test results of M classifiers.

    Attributes:
        accuracy: (M,), at the check of the least cross-entropy.
        cross_entropy: (M,) nats, the least of all checks.
    """

    accuracy: Array
    cross_entropy: Array


@torch_defaults()
def fit_classifiers(train: LabeledCodes, test: LabeledCodes, masks: Array, targets: Array, *, seed: int) -> Fit:
    """Train M classifiers with Adam, the learning rate falling to 0 along a cosine, and score them.

    Latents are standardized by the training rows; a constant one stays 0. A test label that training lacks counts as
    an error, with the cross-entropy of an even guess.

    Args:
        train: rows to learn from; at most 10,000 of them, drawn at random, are used.
        test: rows to score on.
        masks: (M, D) booleans, which latents each classifier sees.
        targets: (M,) which factor each predicts.
        seed: of the weights and batches.
    """
    rng = torch.Generator().manual_seed(seed)
    kept = torch.randperm(len(train.codes), generator=rng)[:MAX_ROWS].numpy()
    train = train.rows(kept)
    x_train, x_test = _standardized(train, test)
    classes = [np.unique(column) for column in train.labels.T]
    num_classes = np.array([len(classes[k]) for k in targets])
    y_train = torch.from_numpy(np.stack([np.searchsorted(classes[k], train.labels[:, k]) for k in targets]))
    y_test = torch.from_numpy(np.stack([_known(classes[k], test.labels[:, k]) for k in targets]))
    network = _Networks(masks, num_classes, rng)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, NUM_STEPS)
    best = np.full(len(targets), np.inf)
    accuracy = np.zeros(len(targets))
    for step in range(1, NUM_STEPS + 1):
        rows = torch.randint(len(x_train), (min(BATCH_SIZE, len(x_train)),), generator=rng)
        losses = _cross_entropy(network(x_train[rows]), y_train[:, rows])
        optimizer.zero_grad()
        losses.mean(dim=1).sum().backward()
        optimizer.step()
        schedule.step()
        if step % _CHECK_EVERY == 0 or step == NUM_STEPS:
            lost, right = _score(network, x_test, y_test, num_classes)
            accuracy = np.where(lost < best, right, accuracy)
            best = np.minimum(best, lost)
    return Fit(accuracy, best)


def joint_information(data: LabeledCodes, *, seed: int) -> Array:
    """A lower bound of I(z; v_k), (K,) nats, between 0 and H(v_k): what the latents save of the held-out cross-entropy.

    Barber & Agakov 2003 (The IM Algorithm), with H(v_k) as the cross-entropy of the training frequencies on the same
    rows, so that values that fall by chance into one part only are no information. A third of the rows is held out.
    """
    order = rng_of(seed).permutation(len(data.codes))
    num_test = max(1, len(order) // 3)
    masks = np.ones((data.num_factors, data.num_latents), dtype=bool)
    train, test = data.rows(order[num_test:]), data.rows(order[:num_test])
    fit = fit_classifiers(train, test, masks, np.arange(data.num_factors), seed=seed)
    without = np.array([_without_latents(*pair) for pair in zip(train.labels.T, test.labels.T, strict=True)])
    entropies = np.array([entropy(column) for column in data.labels.T])
    return np.clip(without - fit.cross_entropy, 0, entropies)


def _without_latents(train: Array, test: Array) -> float:
    """The cross-entropy, nats, of test labels by their frequencies in training; unknown ones as for networks."""
    classes, counts = np.unique(train, return_counts=True)
    place = _known(classes, test)
    return float(np.where(place < 0, np.log(len(classes)), -np.log(counts[place] / counts.sum())).mean())


@torch_defaults()
def fit_chains(train: LabeledCodes, test: LabeledCodes, *, seed: int) -> tuple[Array, Array, Array]:
    """Test losses (K, D), of networks that see 1 to D dimensions, baselines (K,), and chains (K, D - 1, D, D)."""
    rng = torch.Generator().manual_seed(seed)
    train = train.rows(torch.randperm(len(train.codes), generator=rng)[:MAX_ROWS].numpy())
    x_train, x_test = _standardized(train, test)
    targets = [_Target(train, test, k) for k in range(train.num_factors)]
    model = _Chains(train.num_factors, train.num_latents, np.array([each.num_outputs for each in targets]), rng)
    optimizer = torch.optim.Adam(model.parameters(), lr=CHAIN_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, CHAIN_STEPS)
    for _ in range(CHAIN_STEPS):
        rows = torch.randint(len(x_train), (min(CHAIN_BATCH_SIZE, len(x_train)),), generator=rng)
        outputs = model(x_train[rows])
        loss = torch.stack([each.loss(out, rows) for each, out in zip(targets, outputs, strict=True)]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        losses = np.zeros((train.num_factors, train.num_latents))
        for rows in torch.arange(len(x_test)).split(1024):
            pairs = zip(targets, model(x_test[rows]), strict=True)
            losses += np.stack([each.test_losses(out, rows)[::-1] for each, out in pairs]) / len(x_test)
        return losses, np.array([each.baseline for each in targets]), model.steps().double().numpy()


class _Networks(nn.Module):
    """M networks of one hidden layer; logits of classes that a network does not have are very small."""

    def __init__(self, masks: Array, num_classes: Array, rng: torch.Generator) -> None:
        super().__init__()
        num, dim, most = len(masks), masks.shape[1], int(num_classes.max())
        self.mask = torch.from_numpy(masks.astype(np.float32))[:, :, None]
        self.absent = torch.arange(most)[None, None, :] >= torch.from_numpy(num_classes)[:, None, None]
        self.first = nn.Parameter(torch.randn(num, dim, WIDTH, generator=rng) * (2 / dim) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(num, 1, WIDTH))
        self.second = nn.Parameter(torch.randn(num, WIDTH, most, generator=rng) / WIDTH**0.5)
        self.second_bias = nn.Parameter(torch.zeros(num, 1, most))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (M, N, C) of latents (N, D)."""
        hidden = torch.relu(torch.matmul(x, self.mask * self.first) + self.first_bias)
        return (torch.baddbmm(self.second_bias, hidden, self.second)).masked_fill(self.absent, -1e9)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(M, N) nats."""
    return nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")


@torch.no_grad()
def _score(network: _Networks, x: Tensor, labels: Tensor, num_classes: Array) -> tuple[Array, Array]:
    """Mean cross-entropy and accuracy (M,), a part of the rows at a time to bound the memory."""
    lost, right = np.zeros(len(labels)), np.zeros(len(labels))
    for rows in torch.arange(len(x)).split(2048):
        logits, known = network(x[rows]), labels[:, rows] >= 0
        losses = _cross_entropy(logits, labels[:, rows].clamp(min=0))
        even = torch.from_numpy(np.log(num_classes)).float()[:, None]
        lost += torch.where(known, losses, even).double().sum(dim=1).numpy()
        right += (logits.argmax(dim=2) == labels[:, rows]).double().sum(dim=1).numpy()
    return lost / len(x), right / len(x)


def _known(classes: Array, labels: Array) -> Array:
    """Indices of labels among sorted classes, -1 where a label is none of them."""
    index = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    return np.where(classes[index] == labels, index, -1)


class _Chains(nn.Module):
    """For each of K factors the maps that drop a dimension, and a network before each of them and after the last."""

    def __init__(self, num_factors: int, dim: int, num_outputs: Array, rng: torch.Generator) -> None:
        super().__init__()
        most = int(num_outputs.max())
        kept = torch.arange(dim)[None, :] < torch.arange(dim - 1, 0, -1)[:, None]
        self.kept = kept.float()[None, :, :, None]
        self.chain = nn.Parameter(torch.eye(dim).expand(num_factors, dim - 1, dim, dim).clone())
        self.first = nn.Parameter(torch.randn(num_factors, dim, dim, CHAIN_WIDTH, generator=rng) * (2 / dim) ** 0.5)
        self.first_bias = nn.Parameter(torch.zeros(num_factors, dim, 1, CHAIN_WIDTH))
        self.second = nn.Parameter(torch.randn(num_factors, dim, CHAIN_WIDTH, most, generator=rng) / CHAIN_WIDTH**0.5)
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


class _Target:
    """One factor as the networks see it: classes, or a standardized number."""

    def __init__(self, train: LabeledCodes, test: LabeledCodes, factor: int) -> None:
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

    def test_losses(self, outputs: Tensor, rows: Tensor) -> Array:
        """The squared error or the number of errors (D,), summed over some test rows, of outputs (D, n, C)."""
        if self.continuous:
            return np.asarray(((outputs[..., 0] - self._wanted[rows]) ** 2).double().sum(dim=1))
        return np.asarray((outputs.argmax(dim=2) != self._wanted[rows]).double().sum(dim=1))


def _standardized(train: LabeledCodes, test: LabeledCodes) -> tuple[Tensor, Tensor]:
    """The latents of both sets by the training set's mean and deviation; constant ones stay 0."""
    mean, deviation = train.codes.mean(axis=0), train.codes.std(axis=0)
    scale = np.where(varying(train.codes), deviation, np.inf)
    first, second = (torch.from_numpy(((x.codes - mean) / scale).astype(np.float32)) for x in (train, test))
    return first, second
