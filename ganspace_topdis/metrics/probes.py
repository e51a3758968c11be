"""Many small classifiers trained at once: one hidden layer of 256 units each, one classifier per factor.

All see the same latents, each through its own mask, so that K networks with and K without a latent cost a few
batched products per step. Used where a metric asks what all latents together know of a factor.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ganspace_topdis.metrics.estimators import entropy
from ganspace_topdis.metrics.inputs import Array, Labelled

__all__ = ["Fit", "fit_classifiers", "joint_information"]

WIDTH = 256
NUM_STEPS = 300
BATCH_SIZE = 256
LEARNING_RATE = 1e-2
MAX_ROWS = 10_000
_CHECK_EVERY = 100


@dataclass(frozen=True, eq=False)
class Fit:
    """What M classifiers reach on the test rows.

    Attributes:
        accuracy: (M,), at the check of the least cross-entropy.
        cross_entropy: (M,) nats, the least of all checks.
    """

    accuracy: Array
    cross_entropy: Array


def fit_classifiers(train: Labelled, test: Labelled, masks: Array, targets: Array, *, seed: int) -> Fit:
    """Train M classifiers with Adam, the learning rate falling to 0 along a cosine, and score them.

    Latents are standardised by the training rows; a constant one stays 0. A test label that training lacks counts as
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
    mean, deviation = train.codes.mean(axis=0), train.codes.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)
    x_train, x_test = (torch.from_numpy(((x.codes - mean) / scale).astype(np.float32)) for x in (train, test))
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


def joint_information(data: Labelled, *, seed: int) -> Array:
    """A lower bound of I(z; v_k), (K,) nats: H(v_k) minus the held-out cross-entropy, between 0 and H(v_k).

    Barber & Agakov 2003 (The IM Algorithm). A third of the rows is held out.
    """
    order = np.random.default_rng(seed).permutation(len(data.codes))
    num_test = max(1, len(order) // 3)
    masks = np.ones((data.num_factors, data.num_latents), dtype=bool)
    fit = fit_classifiers(
        data.rows(order[num_test:]), data.rows(order[:num_test]), masks, np.arange(data.num_factors), seed=seed
    )
    entropies = np.array([entropy(column) for column in data.labels.T])
    return np.clip(entropies - fit.cross_entropy, 0, entropies)


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
