"""The release's TopDis loss against an independent computation: plain reduction of all triangles, in ripser's order.

reference/released_rtd.npz holds what this computation (`reference` below, 20 to 40 s each) gives for two pairs of
clouds: images x and y (55, 256), in 1/255, that a beta-VAE trained on dsprites-16 decodes before and after a shift, and
`clouds(64, 0)`, which have more than 50 bars. Of a gradient it holds the product with `ramp` of each row. The release's
own code (commit 2ca9d2e, rtd.py), given the bars of the same reduction, agrees with both to 12 digits.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.shift import gaussian_shift
from ganspace_topdis.topology import RTDLoss
from vae.networks import Posterior, build_networks
from vae.settings import TopDisSettings
from vae.topdis import ShiftChoice, TopDisTerm, cloud_loss, released_rtd


def in_ripser_order(distances, num_vertices):
    """Simplices by diameter, those of equal diameter by descending combinatorial index."""

    def key(simplex):
        diameter = max(distances[edge] for edge in itertools.combinations(simplex, 2))
        return diameter, -sum(math.comb(vertex, k + 1) for k, vertex in enumerate(simplex))

    return sorted(itertools.combinations(range(len(distances)), num_vertices), key=key)


def pairs_of_loops(distances):
    """(birth edge, death triangle, length) of every bar of H1, by reducing the boundary matrix column by column."""
    edges = in_ripser_order(distances, 2)
    position = {edge: k for k, edge in enumerate(edges)}
    reduced, pairs = {}, []
    for triangle in in_ripser_order(distances, 3):
        column = {position[edge] for edge in itertools.combinations(triangle, 2)}
        while column and max(column) in reduced:
            column ^= reduced[max(column)]
        if column:
            birth = edges[max(column)]
            reduced[max(column)] = column
            longest = max(distances[edge] for edge in itertools.combinations(triangle, 2))
            if longest > distances[birth]:
                pairs.append((birth, triangle, longest - distances[birth]))
    return pairs


def doubled(outer, inner):
    zero = torch.zeros_like(outer)
    return torch.cat([torch.cat([zero, outer.T], dim=1), torch.cat([outer, inner], dim=1)])


def term(outer, inner, deaths_in, num_bars):
    matrix, source = doubled(outer, inner), doubled(outer, deaths_in)
    values = matrix.detach().numpy()
    total = torch.zeros((), dtype=outer.dtype)
    for birth, triangle, _ in sorted(pairs_of_loops(values), key=lambda pair: -pair[2])[:num_bars]:
        corners = list(triangle)
        a, b = np.unravel_index(values[np.ix_(corners, corners)].argmax(), (3, 3))
        total = total + (source[corners[a], corners[b]] - matrix[birth]).abs()
    return total


def reference(x, y, num_bars=50):
    def normalized(cloud):
        distances = torch.cdist(cloud, cloud)
        return distances / np.quantile(distances.detach().numpy(), 0.9)

    a, b = normalized(x), normalized(y)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    terms = [
        term(a, low, b, num_bars),
        term(b, low, b, num_bars),
        term(high, b, b, num_bars),
        term(high, a, a, num_bars),
    ]
    return sum(terms) / 2


def clouds(num, seed, noise=0.4):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num, 6, generator=generator, dtype=torch.float64)
    y = x + noise * torch.randn(num, 6, generator=generator, dtype=torch.float64)
    return x.requires_grad_(), y.requires_grad_()


@pytest.mark.parametrize(("num", "seed"), list(itertools.product((5, 9, 13), range(3))))
@pytest.mark.parametrize("num_bars", [2, 50])
def test_loss_and_gradient_are_those_of_the_release(num, seed, num_bars):
    x, y = clouds(num, seed)
    loss, expected = released_rtd(x, y, max_bars=num_bars), reference(x, y, num_bars)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
    for own, other in zip(torch.autograd.grad(loss, (x, y)), torch.autograd.grad(expected, (x, y)), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_exceeds_the_corrected_loss_and_points_elsewhere(seed):
    x, y = clouds(40, seed)
    released, corrected = released_rtd(x, y), RTDLoss()(x, y)
    assert released > 1.05 * corrected
    own, other = (torch.autograd.grad(loss, y, retain_graph=True)[0].flatten() for loss in (released, corrected))
    assert torch.cosine_similarity(own, other, dim=0) < 0.99


def test_it_is_zero_for_identical_clouds_and_finite_for_coincident_points():
    x, _ = clouds(10, 0)
    assert released_rtd(x, x.detach().clone()).item() == pytest.approx(0, abs=1e-12)
    point = torch.zeros(6, 4, requires_grad=True)
    loss = released_rtd(point, point.detach() + 1)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(point.grad).all()


def test_clouds_that_are_not_finite_are_refused():
    x, y = clouds(5, 0)
    with pytest.raises(InvalidArgumentError, match="y holds values that are NaN, infinite"):
        released_rtd(x, y.detach() * math.inf)
    with pytest.raises(InvalidArgumentError, match=r"x holds values that are .* too close for a gradient"):
        released_rtd((x.detach() * 1e-300).requires_grad_(), y)


def ramp(gradient):
    return gradient @ torch.linspace(-1, 1, gradient.shape[1], dtype=torch.float64)


@pytest.mark.parametrize("prefix", ["", "random_"])
def test_loss_and_gradient_of_recorded_clouds_are_those_of_the_release(prefix):
    recorded = np.load(Path(__file__).parent / "reference" / "released_rtd.npz")
    decoded = [torch.from_numpy(recorded[name]).double().div(255).requires_grad_() for name in "xy"]
    x, y = clouds(64, 0) if prefix else decoded
    loss = released_rtd(x, y)
    assert loss.item() == pytest.approx(recorded[f"{prefix}loss"].item(), rel=1e-12)
    for name, gradient in zip("xy", torch.autograd.grad(loss, (x, y)), strict=True):
        assert ramp(gradient).numpy() == pytest.approx(recorded[f"{prefix}{name}_gradient"], rel=1e-9, abs=1e-11)


def test_the_fifty_longest_bars_count():
    x, y = clouds(64, 0)
    of_fifty, of_fewer, of_all = (released_rtd(x, y, max_bars=num).item() for num in (50, 49, 10**6))
    assert released_rtd(x, y).item() == of_fifty
    assert of_fewer < of_fifty < of_all


def whole_term(decode, codes, index, amount):
    """The release's term: shift by the distribution function, keep what lies within (0, 1), decode, compare."""
    mean, std = codes[:, index].mean(), codes[:, index].std()
    probability = (1 + torch.erf((codes[:, index] - mean) / std / math.sqrt(2))) / 2 + amount
    rows = ((probability > 0) & (probability < 1)).nonzero()[:, 0]
    moved = mean + std * math.sqrt(2) * torch.erfinv(2 * probability[rows] - 1)
    columns = [moved if column == index else codes[rows, column] for column in range(codes.shape[1])]
    return reference(decode(codes[rows]).flatten(1), decode(torch.stack(columns, dim=1)).flatten(1)), rows


@pytest.mark.parametrize("amount", [0.125, -0.125])
def test_the_term_is_the_release_s_down_to_rows_at_the_ends(amount):
    torch.manual_seed(0)
    model = build_networks("fc", image_shape=(8, 8, 1), num_latents=3, width=0.02).double()
    term = TopDisTerm(TopDisSettings(version="released"), features=lambda logits: logits.sigmoid().double())
    num_at_ends = 0
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        codes = torch.randn(12, 3, generator=generator, dtype=torch.float64).requires_grad_()
        expected, rows = whole_term(lambda some: model.decode(some).float().sigmoid().double(), codes, 1, amount)
        found = term(model, Posterior(mean=codes, logvar=codes, sample=codes), ShiftChoice(index=1, amount=amount))
        assert found.item() == pytest.approx(expected.item(), rel=1e-6)
        own, other = (torch.autograd.grad(loss, codes)[0] for loss in (found, expected))
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)
        num_at_ends += len(rows) - int(gaussian_shift(codes, 1, amount)[1].sum())
    assert num_at_ends > 0  # rows that the default margin would leave out


def test_the_released_version_takes_the_same_batch_all_rows_and_no_orthogonalization():
    settings = TopDisSettings(version="released")
    assert (settings.loss, settings.batch, settings.orthogonalize) == ("rtd-released", "same", "none")
    assert settings.margin == 0
    x, y = clouds(9, 0)
    assert torch.equal(cloud_loss("rtd-released")(x, y), released_rtd(x, y))
    with pytest.raises(InvalidArgumentError, match="version"):
        TopDisSettings(version="released", loss="l2")
    with pytest.raises(InvalidArgumentError, match="orthogonalize` is 'all', but must be none"):
        TopDisSettings(version="released", orthogonalize="all")
    with pytest.raises(InvalidArgumentError, match=r"margin` is 0\.05, but must be 0.0 if `topdis.version`"):
        TopDisSettings(version="released", margin=0.05)
