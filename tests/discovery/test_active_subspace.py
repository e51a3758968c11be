import pytest
import torch

from ganspace_topdis.discovery.active_subspace import (
    active_subspace,
    effects_of_numbers,
    find_span,
    identity_span,
    pca_span,
    to_directions,
)
from ganspace_topdis.discovery.parametrization import nearest_rotation, random_rotation
from ganspace_topdis.discovery.whitening import ChannelWhitening, principal_axes, whiten
from ganspace_topdis.errors import InvalidArgumentError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
def test_the_projection_recovers_a_displacement(kind):
    span = find_span(kind, linear_features, correlated_codes(), size=None, rng=rng())
    assert torch.allclose(span.projection @ span.axes.T, torch.eye(span.size), atol=1e-4)


def test_the_first_principal_component_has_the_largest_variance():
    codes = correlated_codes()
    span = pca_span(codes, size=3)
    lengths = span.axes.norm(dim=1)
    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[0] ** 2 == pytest.approx(torch.linalg.eigvalsh(torch.cov(codes.T))[-1].item(), rel=1e-4)


def test_the_active_subspace_excludes_axes_without_effect():
    codes = torch.randn(4000, 6, generator=rng())
    span = active_subspace(lambda c: c[:, 2:4] * torch.tensor([3.0, 1.0]), codes, rng=rng(), num_probes=2000)
    assert span.size == 2
    ignored = span.axes[:, [0, 1, 4, 5]].norm() / span.axes.norm()
    assert ignored < 0.05
    assert span.spectrum[0].item() == pytest.approx(0.9, abs=0.03)


def test_the_effect_is_measured_per_standard_deviation_of_the_codes():
    scales = torch.tensor([10.0, 1.0])
    codes = torch.randn(4000, 2, generator=rng()) * scales
    span = active_subspace(lambda c: c / scales * torch.tensor([1.0, 2.0]), codes, rng=rng(), num_probes=2000)
    assert span.axes[0].abs().argmax() == 1


def test_null_axes_of_the_codes_are_not_in_the_span():
    codes = torch.randn(500, 2, generator=rng()) @ torch.randn(2, 5, generator=rng())
    assert pca_span(codes, size=2).size == 2
    with pytest.raises(InvalidArgumentError, match="`num_directions` is 3, allowed are 1 to 2"):
        pca_span(codes, size=3)


def test_the_identity_span_takes_every_axis():
    assert identity_span(correlated_codes()).size == 3
    with pytest.raises(InvalidArgumentError, match="has 3 axes, but `num_directions` is 2"):
        identity_span(correlated_codes(), size=2)


def test_progress_is_called_after_every_micro_batch():
    calls = []
    active_subspace(
        linear_features,
        correlated_codes(),
        rng=rng(),
        num_probes=100,
        micro_batch=32,
        progress=lambda step, num_steps: calls.append((step, num_steps)),
    )
    assert calls == [(32, 100), (64, 100), (96, 100), (100, 100)]


def test_equal_codes_are_refused():
    with pytest.raises(InvalidArgumentError, match="all equal"):
        pca_span(torch.ones(10, 3))


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidArgumentError, match="'effect', 'pca' and 'identity'"):
        find_span("ica", linear_features, correlated_codes(), size=None, rng=rng())  # type: ignore[arg-type]


def test_the_size_of_a_micro_batch_does_not_change_the_span():
    spans = [
        active_subspace(linear_features, correlated_codes(), size=2, rng=rng(), num_probes=100, micro_batch=micro_batch)
        for micro_batch in (7, 64, 100)
    ]
    for span in spans[1:]:
        assert torch.allclose(span.axes, spans[0].axes, atol=1e-5)


def channels(num_codes: int = 3000) -> torch.Tensor:
    """Twelve channels, of very different scales, that are functions of three numbers; the last one is constant."""
    mixing = torch.randn(3, 11, generator=rng(1)) * 10.0 ** torch.arange(-4, 7)
    return torch.nn.functional.pad(torch.randn(num_codes, 3, generator=rng()) @ mixing, (0, 1), value=0.7)


def last_channels(codes: torch.Tensor) -> torch.Tensor:
    return codes[:, 4:8] / channels().std(0)[4:8]


@pytest.mark.parametrize("make", [pca_span, lambda codes, **k: active_subspace(last_channels, codes, rng=rng(), **k)])
def test_codes_have_unit_variance_and_no_correlation_in_a_span_of_channels(make):
    span = make(channels(), size=2, whitening="channels")
    coordinates = (channels() - span.mean) @ span.projection.T
    assert torch.allclose(torch.cov(coordinates.T), torch.eye(2), atol=0.05)
    assert torch.allclose(span.projection @ span.axes.T, torch.eye(2), atol=1e-3)


def test_the_span_of_channels_stays_where_codes_are():
    span = active_subspace(last_channels, channels(), size=3, rng=rng(), whitening="channels")
    scale = channels().std(0)[:11]
    reached = torch.linalg.qr(((channels()[:200] - span.mean)[:, :11] / scale).T)[0][:, :3]
    rows = torch.nn.functional.normalize(span.axes[:, :11] / scale, dim=1)
    assert torch.allclose(rows @ reached @ reached.T, rows, atol=1e-3)


def test_the_effect_of_a_number_is_that_of_one_standard_deviation():
    scales = torch.tensor([10.0, 1.0, 2.0, 5.0])
    codes = torch.randn(4000, 4, generator=rng()) * scales
    effects = effects_of_numbers(lambda c: c[:, :3] * torch.tensor([0.1, 3.0, 1.0]), codes, rng=rng(1), num_probes=3000)
    assert torch.allclose(effects, torch.tensor([1.0, 9.0, 4.0, 0.0]), rtol=0.1)


def test_a_constant_channel_does_not_move():
    assert whiten("channels", channels()).deviations[-1] == 0
    assert pca_span(channels(), size=2, whitening="channels").axes[:, -1].abs().max() == 0


def test_in_all_of_channels_a_unit_is_one_standard_deviation_where_codes_are_and_as_long_elsewhere():
    codes = channels()
    whole = whiten("channels", codes)
    assert isinstance(whole, ChannelWhitening)
    assert whole.support.shape == (3, 12)
    coordinates = whole.located(codes - whole.mean) @ whole.support.T
    assert torch.allclose(torch.cov(coordinates.T), torch.eye(3), atol=0.05)
    rows = torch.linalg.qr(torch.randn(12, 12, generator=rng(3)))[0]
    displacements, projections = whole.chosen(rows)
    assert torch.allclose(whole.located(displacements)[:, :11], rows[:, :11], atol=1e-4)
    assert torch.allclose(displacements @ projections.T, rows[:, :11] @ rows[:, :11].T, atol=1e-4)
    outside = rows[:, :11] - whole.shared(rows) @ whole.support[:, :11]
    lengths = (whole.chosen(torch.nn.functional.pad(outside, (0, 1)))[0] / codes.std(0))[:, :11].norm(dim=1)
    assert torch.allclose(lengths / outside.norm(dim=1), whole.variances.mean().sqrt().float(), rtol=1e-3)


def test_the_whole_of_channels_starts_at_the_axes_of_their_span_and_knows_what_codes_reach():
    for probes in (5, 1024):
        span = find_span(
            *("effect", last_channels, channels()),
            size=2,
            rng=rng(),
            whitening="channels",
            search_in="both",
            num_probes=probes,
        )
        whole = span.whole
        assert whole is not None
        assert whole.shared is not None
        started = torch.nn.functional.normalize(whole.start @ whole.axes, dim=1)
        assert torch.allclose(started, torch.nn.functional.normalize(span.axes, dim=1), atol=1e-3)
        reached = torch.nn.functional.normalize(channels() - channels().mean(0), dim=1)
        kept = reached @ whole.projection.T @ whole.axes
        assert torch.allclose(kept, reached, atol=1e-3)
        assert whole.shared.shape == (whole.size, 3)
        outside = torch.eye(whole.size) - whole.shared @ whole.shared.T
        assert (reached @ whole.projection.T @ outside).norm() < 1e-2 * (reached @ whole.projection.T).norm()


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_principal_axes_are_the_right_singular_vectors(shape):
    rows = torch.randn(shape, generator=rng(), dtype=torch.float64)
    _, singular, vectors = torch.linalg.svd(rows, full_matrices=False)
    values, axes = principal_axes(rows)
    assert torch.allclose(values, singular**2)
    assert torch.allclose((axes @ vectors.T).abs(), torch.eye(6, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize("kind", ["full", "channels"])
def test_equal_channels_are_refused(kind):
    with pytest.raises(InvalidArgumentError, match="all equal"):
        whiten(kind, torch.ones(9, 3))


SPAN = pca_span(torch.randn(500, 5, generator=rng()) * torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]))
FILL = random_rotation(5, rng(9))


def test_a_random_rotation_is_orthonormal():
    assert torch.allclose(FILL @ FILL.T, torch.eye(5), atol=1e-6)


def test_directions_of_the_span_itself_are_their_own_nearest_rotation():
    rotation = random_rotation(5, rng(1))
    assert torch.allclose(nearest_rotation(SPAN, to_directions(SPAN, rotation), FILL), rotation, atol=1e-5)


def test_fewer_directions_come_first_and_the_rest_is_orthogonal_to_them():
    rotation = random_rotation(5, rng(1))
    nearest = nearest_rotation(SPAN, to_directions(SPAN, rotation[:2]), FILL)
    assert torch.allclose(nearest[:2], rotation[:2], atol=1e-5)
    assert torch.allclose(nearest @ nearest.T, torch.eye(5), atol=1e-5)


def test_no_rotation_is_nearer_to_oblique_directions():
    oblique = torch.nn.functional.normalize(torch.randn(5, 5, generator=rng(2)), dim=1)
    nearest = nearest_rotation(SPAN, to_directions(SPAN, oblique), FILL)
    others = [random_rotation(5, rng(seed)) for seed in range(50)]
    assert all((nearest - oblique).norm() < (other - oblique).norm() for other in others)


def test_directions_of_another_space_are_refused():
    other = pca_span(torch.randn(50, 3, generator=rng()))
    with pytest.raises(InvalidArgumentError, match="codes of 3 numbers, but this space has 5"):
        nearest_rotation(SPAN, to_directions(other, torch.eye(3)), FILL)


def test_directions_outside_the_span_are_refused():
    narrow = pca_span(torch.randn(500, 5, generator=rng()) * torch.tensor([5.0, 4.0, 0.0, 0.0, 0.0]), size=2)
    outside = to_directions(SPAN, torch.eye(5)).select([4])
    outside.vectors[:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    with pytest.raises(InvalidArgumentError, match="orthogonal to the span"):
        nearest_rotation(narrow, outside, FILL)
    outside.vectors[:] = torch.tensor([1e-7, 2e-7, 1.0, 0.0, 0.0])  # what rounding leaves is no direction
    with pytest.raises(InvalidArgumentError, match="orthogonal to the span"):
        nearest_rotation(narrow, outside, FILL)


def test_a_direction_outside_the_span_gets_a_place_beside_those_within():
    narrow = pca_span(torch.randn(500, 5, generator=rng()) * torch.tensor([5.0, 4.0, 0.0, 0.0, 0.0]), size=2)
    both = to_directions(SPAN, torch.eye(5)).select([0, 1])
    both.vectors[:] = torch.tensor([[1e-8, 3e-8, 1.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0, 0.0]])
    found = nearest_rotation(narrow, both, random_rotation(2, rng()))
    assert torch.allclose(found @ found.T, torch.eye(2), atol=1e-5)
    within = torch.nn.functional.normalize(both.vectors[1] @ narrow.projection.T, dim=0)
    assert abs(float(found[1] @ within)) == pytest.approx(1, abs=1e-4)


def codes(num_codes: int = 40, code_dim: int = 4) -> torch.Tensor:
    return torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generate(c: torch.Tensor) -> torch.Tensor:
    return torch.sin(c @ torch.arange(12.0, dtype=c.dtype).reshape(4, 3)).unflatten(1, (3, 1))


def test_directions_move_by_one_standard_deviation_of_their_coordinate():
    span = pca_span(codes(400), size=3)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    directions = to_directions(span, rotation, method="test")
    coordinates = directions.transform(codes(400).float())
    assert torch.allclose(coordinates.std(0), torch.ones(3), atol=1e-4)
    assert torch.allclose(directions.dual_vectors @ directions.vectors.T, torch.eye(3), atol=1e-5)
    assert torch.allclose(directions.span.norm(dim=1), torch.ones(3))
    assert directions.metadata == {"method": "test"}
