import pytest
import torch

from ganspace_topdis.discovery.span import effect_span, find_span, identity_span, pca_span
from ganspace_topdis.errors import InvalidArgumentError


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def correlated_codes(num_codes: int = 5000) -> torch.Tensor:
    mixing = torch.tensor([[3.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.5, 0.2, 0.3]])
    return torch.randn(num_codes, 3, generator=rng()) @ mixing.T + torch.tensor([1.0, -2.0, 5.0])


def linear_features(codes: torch.Tensor) -> torch.Tensor:
    return codes @ torch.tensor([[0.0, 0.0, 5.0], [0.0, 1.0, 0.0]]).T


@pytest.mark.parametrize("kind", ["effect", "pca"])
def test_codes_have_unit_variance_and_no_correlation_in_the_span(kind):
    codes = correlated_codes()
    span = find_span(kind, linear_features, codes, size=2, rng=rng())
    coordinates = (codes - span.mean) @ span.projection.T
    assert torch.allclose(torch.cov(coordinates.T), torch.eye(2), atol=1e-3)


@pytest.mark.parametrize("kind", ["effect", "pca", "identity"])
def test_the_projection_reads_back_a_displacement(kind):
    span = find_span(kind, linear_features, correlated_codes(), size=None, rng=rng())
    assert torch.allclose(span.projection @ span.axes.T, torch.eye(span.size), atol=1e-4)


def test_the_first_principal_component_has_the_largest_variance():
    codes = correlated_codes()
    span = pca_span(codes, size=3)
    lengths = span.axes.norm(dim=1)
    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[0] ** 2 == pytest.approx(torch.linalg.eigvalsh(torch.cov(codes.T))[-1].item(), rel=1e-4)


def test_the_effect_span_leaves_out_what_changes_nothing():
    codes = torch.randn(4000, 6, generator=rng())
    span = effect_span(lambda c: c[:, 2:4] * torch.tensor([3.0, 1.0]), codes, rng=rng(), num_probes=2000)
    assert span.size == 2
    ignored = span.axes[:, [0, 1, 4, 5]].norm() / span.axes.norm()
    assert ignored < 0.05
    assert span.spectrum[0].item() == pytest.approx(0.9, abs=0.03)


def test_the_effect_is_measured_per_standard_deviation_of_the_codes():
    scales = torch.tensor([10.0, 1.0])
    codes = torch.randn(4000, 2, generator=rng()) * scales
    span = effect_span(lambda c: c / scales * torch.tensor([1.0, 2.0]), codes, rng=rng(), num_probes=2000)
    assert span.axes[0].abs().argmax() == 1


def test_null_axes_of_the_codes_are_not_in_the_span():
    codes = torch.randn(500, 2, generator=rng()) @ torch.randn(2, 5, generator=rng())
    assert pca_span(codes, size=2).size == 2
    with pytest.raises(InvalidArgumentError, match="3 directions were asked for, the span has 1 to 2"):
        pca_span(codes, size=3)


def test_the_identity_span_takes_every_axis():
    assert identity_span(correlated_codes()).size == 3
    with pytest.raises(InvalidArgumentError, match="takes no fewer"):
        identity_span(correlated_codes(), size=2)


def test_progress_hears_of_every_micro_batch_to_the_end():
    heard = []
    effect_span(
        linear_features,
        correlated_codes(),
        rng=rng(),
        num_probes=100,
        micro_batch=32,
        progress=lambda step, num_steps: heard.append((step, num_steps)),
    )
    assert heard == [(32, 100), (64, 100), (96, 100), (100, 100)]


def test_equal_codes_are_refused():
    with pytest.raises(InvalidArgumentError, match="all equal"):
        pca_span(torch.ones(10, 3))


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidArgumentError, match="'effect', 'pca' and 'identity'"):
        find_span("ica", linear_features, correlated_codes(), size=None, rng=rng())  # type: ignore[arg-type]


def test_the_size_of_a_micro_batch_does_not_change_the_span():
    spans = [
        effect_span(linear_features, correlated_codes(), size=2, rng=rng(), num_probes=100, micro_batch=micro_batch)
        for micro_batch in (7, 64, 100)
    ]
    for span in spans[1:]:
        assert torch.allclose(span.axes, spans[0].axes, atol=1e-5)
