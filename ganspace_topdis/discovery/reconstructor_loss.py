"""The reconstructor's loss (Voynov and Babenko 2020, arXiv:2002.03754), and its small convolutional encoder.

A small network R receives the output before and after a shift a v_k and predicts the direction k and the amount a. R
and the orthonormal V are trained together on their Eq. 2,

    cross-entropy(k) + lambda |a - a_R|,        lambda = 0.25.

Their shifts are uniform in [-6, 6], with short ones lengthened to 0.5, in a Gaussian z; here |a| is uniform in
[shift / 4, 2 shift], in standard deviations of the code. `evaluation` trains the same encoder on given directions.

Every stage of a search (`discovery.stage`) has an R of its own, initialized anew. So the searches of the whole code
after that of the span, 25 steps each by default, train R from its random initialization in those few steps, while V
already starts at the span's directions; R of the span's search is not carried over. This peer may be better with it.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.losses import SearchLoss
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.generators import Generate

__all__ = ["ReconstructorLoss", "pooled", "small_encoder", "train"]

_SIDE = 32
_SHIFT_WEIGHT = 0.25
_SHORTEST, _LONGEST = 0.25, 2.0
_WIDTH = 16


class ReconstructorLoss(SearchLoss):
    """Yields one loss; see `SearchLoss`. The parameters of the module are those of R."""

    own_learning_rate = 3e-3

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__(outputs, span, settings)
        with torch.no_grad():
            sample = _as_images(outputs(span.mean[None]))
        channels, *size = sample.shape[1:]
        network = small_encoder(2 * channels, span.num_directions + 1, size, _WIDTH, settings.seed)
        self.network = network.to(sample.device)

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the error of R on the direction and amount of one random shift per code."""
        drawn = self.drawn(rotation, rng)
        labels = torch.randint(len(drawn), (len(codes),), generator=rng)
        signs = torch.randint(2, (len(codes),), generator=rng) * 2 - 1
        lengths = _SHORTEST + (_LONGEST - _SHORTEST) * torch.rand(len(codes), generator=rng)
        labels, amounts = drawn[labels.to(codes.device)], (signs * lengths).to(codes)
        moved = codes + shift * amounts[:, None] * (rotation[labels] @ self.span.axes)
        with torch.no_grad():
            before = _as_images(self.outputs(codes))
        after = _as_images(self.outputs(moved))
        predicted = self.network(torch.cat([before, after - before], dim=1))
        logits, predicted_amounts = predicted[:, :-1], predicted[:, -1]
        yield F.cross_entropy(logits, labels) + _SHIFT_WEIGHT * (predicted_amounts - amounts).abs().mean()


def _as_images(outputs: Tensor) -> Tensor:
    """Outputs (N, C, H, W) of at most 32 px; features (N, F) become images of one pixel."""
    return pooled(outputs) if outputs.ndim == 4 else outputs.flatten(1)[:, :, None, None]


def small_encoder(in_channels: int, num_outputs: int, size: Sequence[int], width: int, seed: int) -> nn.Sequential:
    """A network (N, in_channels, height, width) -> (N, num_outputs), initialized from `seed`.

    Strided 3 x 3 convolutions reduce the longer side to 4 px or less; one hidden layer follows.

    Args:
        in_channels: channels of the images.
        num_outputs: width of the last layer.
        size: height and width of the images, px.
        width: channels of the first convolution; the others have up to 4 times as many.
        seed: of the weights.
    """
    layers: list[nn.Module] = []
    channels, features = in_channels, width
    rows, columns = size
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU too
        while max(rows, columns) > 4:
            layers += [nn.Conv2d(channels, features, 3, stride=2, padding=1), nn.SiLU()]
            channels, features = features, min(2 * features, 4 * width)
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        hidden = nn.Linear(channels * rows * columns, 4 * width)
        return nn.Sequential(*layers, nn.Flatten(), hidden, nn.SiLU(), nn.Linear(4 * width, num_outputs))


def pooled(images: Tensor) -> Tensor:
    """Images (N, C, H, W), averaged to 32 px along their longer side if that is longer."""
    rows, columns = images.shape[-2:]
    longer = max(rows, columns)
    if longer <= _SIDE:
        return images
    return F.adaptive_avg_pool2d(images, (max(1, _SIDE * rows // longer), max(1, _SIDE * columns // longer)))


def train(
    network: nn.Module,
    draw: Callable[[int], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    num_steps: int,
    learning_rate: float,
) -> None:
    """Minimize `loss(network(x), y)` by Adam with a one-cycle learning rate.

    Args:
        network: trained in place.
        draw: step -> a batch (x, y).
        loss: (prediction, y) -> a scalar.
        num_steps: optimization steps.
        learning_rate: the peak of the cycle.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=num_steps)
    for step in range(num_steps):
        inputs, targets = draw(step)
        value = loss(network(inputs), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
