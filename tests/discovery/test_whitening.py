import pytest
import torch

from ganspace_topdis.discovery.span import effect_span, pca_span
from ganspace_topdis.discovery.whitening import principal_axes, whiten
from ganspace_topdis.errors import InvalidArgumentError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def channels(num_codes: int = 3000) -> torch.Tensor:
    """Twelve channels, of very different scales, that are functions of three numbers; the last one is constant."""
    mixing = torch.randn(3, 11, generator=rng(1)) * 10.0 ** torch.arange(-4, 7)
    return torch.nn.functional.pad(torch.randn(num_codes, 3, generator=rng()) @ mixing, (0, 1), value=0.7)


def last_channels(codes: torch.Tensor) -> torch.Tensor:
    return codes[:, 4:8] / channels().std(0)[4:8]


@pytest.mark.parametrize("make", [pca_span, lambda codes, **k: effect_span(last_channels, codes, rng=rng(), **k)])
def test_codes_have_unit_variance_and_no_correlation_in_a_span_of_channels(make):
    span = make(channels(), size=2, whitening="channels")
    coordinates = (channels() - span.mean) @ span.projection.T
    assert torch.allclose(torch.cov(coordinates.T), torch.eye(2), atol=0.05)
    assert torch.allclose(span.projection @ span.axes.T, torch.eye(2), atol=1e-3)


def test_directions_of_channels_may_leave_what_the_codes_fill_but_touch_only_what_has_an_effect():
    span = effect_span(last_channels, channels(), size=3, rng=rng(), whitening="channels")
    assert span.axes[:, [0, 1, 2, 3, 8, 9, 10, 11]].abs().max() == 0
    assert span.axes[:, 4:8].abs().min() > 0


def test_a_constant_channel_does_not_move():
    assert whiten("channels", channels()).deviations[-1] == 0
    assert pca_span(channels(), size=2, whitening="channels").axes[:, -1].abs().max() == 0


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_principal_axes_are_the_right_singular_vectors(shape):
    rows = torch.randn(shape, generator=rng(), dtype=torch.float64)
    _, singular, vectors = torch.linalg.svd(rows, full_matrices=False)
    values, axes = principal_axes(rows)
    assert torch.allclose(values, singular**2)
    assert torch.allclose((axes @ vectors.T).abs(), torch.eye(6, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize("kind", ["full", "channels"])
def test_equal_codes_are_refused(kind):
    with pytest.raises(InvalidArgumentError, match="all equal"):
        whiten(kind, torch.ones(9, 3))
