"""The search in the whole code: its losses, and what a basis of a span cannot find."""

import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.active_subspace import Span, find_span
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.scale_free import ScaleFreeLoss, effect_cosines, mean_overlap, sparsity_of
from ganspace_topdis.discovery.settings import SEARCH_METHODS, DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions

GENERATOR = HandBuiltGenerator(seed=3, resolution=16)
SETTINGS = DiscoverySettings(
    search_in="whole", num_directions=4, steps=6, batch_size=16, num_span_codes=256, num_probes=64
)


def search_with(generate=GENERATOR, **settings) -> Discovery:
    return Discovery(generate, GENERATOR.sample_codes, dataclasses.replace(SETTINGS, **settings))


def loss_of(generate=GENERATOR, rotation=None, **settings) -> float:
    search = search_with(generate, **settings)
    loss = ScaleFreeLoss(generate, search.span, search.settings)
    rows = search.rotation() if rotation is None else rotation(search.span)
    codes = GENERATOR.sample_codes(16, torch.Generator().manual_seed(1))
    (value,) = loss.losses(rows, codes, 1.0, torch.Generator().manual_seed(2))
    return value.item()


@pytest.mark.parametrize("method", SEARCH_METHODS)
def test_directions_stay_unit_vectors_of_the_whole_code_and_move(method):
    search = search_with(method=method)
    search.run()
    assert search.rotation().shape == (4, 6)
    assert torch.allclose(search.rotation().norm(dim=1), torch.ones(4), atol=1e-5)
    assert not torch.allclose(search.rotation(), search.initial_rotation, atol=1e-3)
    assert not torch.allclose(search.rotation()[:, 4:], torch.zeros(4, 2), atol=1e-3)


@pytest.mark.parametrize("method", [method for method in SEARCH_METHODS if method != "reconstructor"])
def test_a_loss_does_not_depend_on_the_scale_of_the_features(method):
    scaled = loss_of(lambda codes: 100 * GENERATOR(codes), method=method)
    assert scaled == pytest.approx(loss_of(method=method), rel=1e-3)


def bilinear(codes: torch.Tensor) -> torch.Tensor:
    """Features that change in proportion to a step along an axis, and to the product of steps along two axes."""
    first, second, third = codes[:, :3].unbind(1)
    return torch.stack([first, second, third, first * second, 2 * second * third], dim=1)


@pytest.mark.parametrize("lengths", [(0.3, 1.0), (0.1, 0.4), (0.2, 0.2, 0.2)])
@pytest.mark.parametrize("method", [method for method in SEARCH_METHODS if method not in ("topdis", "reconstructor")])
def test_a_loss_does_not_depend_on_how_far_directions_go_where_changes_are_proportional(method, lengths):
    def loss(lengths):
        steps = torch.diag(torch.tensor(lengths)) @ torch.eye(len(lengths), 6)
        return loss_of(bilinear, lambda span: steps @ torch.linalg.inv(span.axes), method=method, least_effect=0.0)

    assert loss(lengths) == pytest.approx(loss((1.0,) * len(lengths)), rel=1e-3)


@pytest.mark.parametrize("term", ["orthogonality", "overlap", "least_effect", "effect_power"])
def test_every_term_can_be_left_out(term):
    alike = torch.nn.functional.normalize(torch.ones(4, 6) + 0.1 * torch.eye(4, 6), dim=1)
    settings = {"least_effect": 9.0}
    whole, without = (loss_of(rotation=lambda span: alike, **settings | more) for more in ({}, {term: 0.0}))
    assert abs(whole - without) > 0.01


def test_the_shift_varies_around_its_length_with_either_sign():
    search = search_with(shift_spread=0.4)
    loss = ScaleFreeLoss(GENERATOR, search.span, search.settings)
    amounts = loss._amounts(1000, 2.0, torch.Generator().manual_seed(0))
    assert 1.2 <= amounts.abs().min() < 1.25 < 2.75 < amounts.abs().max() <= 2.8
    assert 400 < (amounts > 0).sum() < 600


def test_only_as_many_directions_are_shifted_in_a_step_as_are_asked_for():
    calls = []

    def generate(codes):
        calls.append(len(codes))
        return GENERATOR(codes)

    search = search_with(generate, directions_per_step=2, micro_batch=64)
    calls.clear()
    search.step()
    assert calls == [16, 32]


def test_overlap_is_0_for_changes_of_different_features_and_1_for_the_same_ones():
    apart = torch.eye(3)[:, None].expand(3, 5, 3)
    assert mean_overlap(apart).item() == 0
    assert mean_overlap(-2 * torch.ones(3, 5, 4)).item() == pytest.approx(1)
    by_hand = torch.tensor([[[3.0, 4.0]], [[-4.0, 3.0]]])
    assert mean_overlap(by_hand).item() == pytest.approx(24 / 25)


def test_changes_of_one_feature_are_sparsest():
    assert sparsity_of(torch.ones(2, 3, 16)).item() == pytest.approx(1)
    assert sparsity_of(torch.eye(16)[:2, None].expand(2, 3, 16)).item() == pytest.approx(0.25)


def test_cosines_of_effects_are_those_of_the_changes_of_a_linear_generator():
    mixing = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    codes = torch.randn(4000, 5, generator=torch.Generator().manual_seed(1))
    span = find_span(
        "effect",
        lambda c: c @ mixing,
        codes,
        size=2,
        rng=torch.Generator().manual_seed(2),
        search_in="whole",
        num_probes=4000,
    )
    rows = torch.nn.functional.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(3)), dim=1)
    changes = torch.nn.functional.normalize(rows @ span.axes @ mixing, dim=1)
    assert torch.allclose(effect_cosines(rows, span.spectrum.float()), changes @ changes.T, atol=0.1)


@pytest.mark.parametrize("kind", ["effect", "pca", "identity"])
def test_the_whole_code_is_searched_from_the_axes_of_the_span(kind):
    size = 6 if kind == "identity" else 4
    whole = search_with(span=kind, num_directions=size)
    span = search_with(span=kind, num_directions=size, search_in="span")
    assert (whole.span.size, whole.span.num_directions) == (6, size)
    assert torch.allclose(whole.directions().vectors, span.directions().vectors, atol=1e-4)
    random = [
        search_with(span=kind, num_directions=size, search_in=each, initialization="random").directions().vectors
        for each in ("whole", "span")
    ]
    assert torch.linalg.matrix_rank(torch.cat(random), atol=1e-3) == size


def test_the_whole_code_is_searched_from_given_directions_exactly():
    search = search_with()
    vectors = torch.nn.functional.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    near = search.directions(torch.cat([vectors, search.rotation()[:1]]))
    search.initialize_near(near.select([0, 1, 2]))
    assert torch.allclose(search.rotation()[:3], vectors, atol=1e-5)
    assert (search.rotation()[3] @ vectors.T).abs().max() < 1e-5


def oblique(codes: torch.Tensor) -> torch.Tensor:
    """Features of two factors that are read along rows 53 degrees apart, in features of their own."""
    first, second = codes[:, :1], 0.6 * codes[:, :1] + 0.8 * codes[:, 1:]
    waves = torch.arange(1, 5) / 3
    return torch.cat([torch.sin(first * waves), 0.5 * torch.sin(second * waves)], dim=1)


@pytest.mark.parametrize("method", ["overlap", "topdis", "sparsity", "hessian"])
@pytest.mark.parametrize("search_in", ["whole", "span"])
def test_directions_of_factors_that_are_not_orthogonal_are_found_in_the_whole_code_only(method, search_in):
    def sample(count, rng):
        return torch.randn(count, 2, generator=rng)

    settings = DiscoverySettings(
        search_in=search_in, method=method, num_directions=2, steps=40, batch_size=32, num_span_codes=2000
    )
    search = Discovery(oblique, sample, settings)
    search.run()
    true = torch.tensor([[0.8, -0.6], [0.0, 1.0]])  # each leaves the other factor unchanged
    found = torch.nn.functional.normalize(search.directions().vectors, dim=1)
    worst = (found @ true.T).abs().amax(0).min().item()
    assert (worst > 0.97) == (search_in == "whole")


def test_a_direction_does_not_fade_where_a_least_effect_is_asked_for():
    def generate(codes):
        return GENERATOR(codes) * 1.0 + 0 * codes.sum()

    def effects(least_effect):
        search = search_with(generate, num_directions=6, steps=30, least_effect=least_effect, learning_rate=0.1)
        search.run()
        return search.evaluate(search.directions()).effect

    assert min(effects(0.3)) > min(effects(0.0))


def test_coordinates_of_directions_that_are_not_orthogonal_are_inverted_exactly():
    search = search_with(num_directions=2)
    rows = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0, 0, 0, 0], [1.0, 1.0, 0, 0, 0, 0]]), dim=1)
    directions = search.directions(rows)
    coordinates = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(directions.transform(directions.inverse_transform(coordinates)), coordinates, atol=1e-5)
    many = GENERATOR.sample_codes(4000, torch.Generator().manual_seed(1))
    assert directions.transform(many).std(0).tolist() == pytest.approx([1, 1], abs=0.12)
    assert directions.span.shape == (2, 6)
    assert isinstance(directions, Directions)


LAYERS, SCALES = 3, torch.tensor([1.0, 3.0, 0.2, 1.0])


def per_layer(codes: torch.Tensor) -> torch.Tensor:
    """A generator of codes with a vector for each of three layers; the last one has no effect."""
    first, second, _ = codes.unflatten(1, (LAYERS, -1)).unbind(1)
    return torch.cat([torch.sin(first), first * torch.cos(second)], dim=1)


def sample_layers(count: int, rng: torch.Generator) -> torch.Tensor:
    return (torch.randn(count, 4, generator=rng) * SCALES + 1).repeat(1, LAYERS)


def layered(search_in: str = "whole", **settings) -> Discovery:
    given = dataclasses.replace(SETTINGS, whitening="layers", num_directions=2, search_in=search_in, **settings)
    return Discovery(per_layer, sample_layers, given)


def test_codes_with_a_vector_per_layer_start_with_equal_ones_of_a_standard_deviation():
    search = layered()
    vectors = search.directions().vectors.unflatten(1, (LAYERS, -1))
    assert torch.allclose(vectors, vectors[:, :1].expand_as(vectors), atol=1e-4)
    codes = sample_layers(4000, torch.Generator().manual_seed(0))
    assert search.directions().transform(codes).std(0).tolist() == pytest.approx([1, 1], abs=0.12)
    assert torch.allclose(layered("span").directions().vectors, search.directions().vectors, atol=1e-4)


def test_the_vectors_of_the_layers_move_apart():
    search = layered()
    search.run()
    vectors = search.directions().vectors.unflatten(1, (LAYERS, -1))
    assert (vectors[:, 0] - vectors[:, 1]).abs().max() > 0.01


def difference_of_layers(search: Discovery) -> torch.Tensor:
    """(K,), the part of each direction's squared length, in whitened codes, in which its layers differ."""
    parts = search.directions().vectors.unflatten(1, (LAYERS, -1)) / SCALES
    return 1 - LAYERS * parts.mean(1).square().sum(1) / parts.square().sum((1, 2))


def test_layers_differ_by_at_most_what_is_asked_for():
    free, bounded = layered(steps=40), layered(steps=40, layer_spread=0.05)
    assert torch.equal(free.initial_rotation, bounded.initial_rotation)
    for search in (free, bounded):
        search.run()
    assert difference_of_layers(free).max() > 0.15
    assert difference_of_layers(bounded).max() == pytest.approx(0.05, abs=0.01)
    assert bounded.rotation().norm(dim=1).tolist() == pytest.approx([1, 1])


def test_layers_differ_only_in_the_last_of_the_searches_that_follow_that_in_the_span():
    search = layered("both", steps=8, whole_steps=6, accept_all=True)
    first, second = search.settings.refinements
    assert (first.layer_spread, second.layer_spread, search.num_steps) == (0.0, 1.0, 20)
    while search.step_index < 14:
        search.step()
    assert difference_of_layers(search).max() < 1e-5
    assert not torch.allclose(search.directions().vectors, search.stages[0].directions().vectors, atol=1e-3)
    search.run()
    assert difference_of_layers(search).max() > 1e-3
    together = layered("both", steps=8, whole_steps=6, layer_spread=0.0)
    assert len(together.settings.refinements) == 1
    together.run()
    assert difference_of_layers(together).max() < 1e-5


@pytest.mark.parametrize("stop_at", [5, 8, 11, 14, 17, 20])
def test_a_search_of_three_stages_resumes_in_any_of_them(stop_at):
    whole, stopped = (layered("both", steps=8, whole_steps=6) for _ in range(2))
    whole.run()
    for _ in range(stop_at):
        stopped.step()
    tensors, rest = stopped.state()
    assert sum(tensor.shape == (12, 12) for tensor in tensors.values()) == 2  # axes and projection, once
    resumed = Discovery.resume(per_layer, sample_layers, stopped.settings, (tensors, rest))
    resumed.run()
    assert torch.equal(resumed.directions().vectors, whole.directions().vectors)
    kept = [search.accepted() for search in (resumed, whole)]
    assert torch.equal(*(each.vectors for each in kept))
    assert kept[0].metadata["improved"] == kept[1].metadata["improved"]


def test_what_an_earlier_stage_improved_counts_as_improved(monkeypatch):
    answers = iter([torch.tensor([True, False]), torch.tensor([False, False])])
    monkeypatch.setattr(Discovery, "_better", lambda *_: next(answers))
    search = layered("both", steps=4, whole_steps=4)
    search.run()
    assert search.accepted().metadata["improved"] == [True, False]


def test_codes_of_double_precision_keep_that_bound():
    given = dataclasses.replace(SETTINGS, whitening="layers", num_directions=2, search_in="whole", layer_spread=0.05)
    search = Discovery(per_layer, lambda count, rng: sample_layers(count, rng).double(), given)
    search.run()
    assert difference_of_layers(search).max() < 0.06


def test_a_resumed_search_keeps_that_bound():
    whole, first = layered(layer_spread=0.05, steps=12), layered(layer_spread=0.05, steps=12)
    whole.run()
    for _ in range(5):
        first.step()
    resumed = Discovery.resume(per_layer, sample_layers, first.settings, first.state())
    resumed.run()
    assert torch.equal(resumed.rotation(), whole.rotation())


def test_principal_components_and_random_rotations_of_such_codes_are_equal_in_all_layers():
    for settings in ({"span": "pca"}, {"initialization": "random"}):
        vectors = layered(**settings).directions().vectors.unflatten(1, (LAYERS, -1))
        assert torch.allclose(vectors, vectors[:, :1].expand_as(vectors), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift_kind": "gaussian", "shift": 0.1}, "`shift_kind` is 'gaussian', but must be sigma"),
        ({"method": "overlap", "overlap": 0.0}, "`overlap` is 0.0, but must be more than 0"),
        ({"shift_spread": 1.0}, "`shift_spread` is"),
        ({"layer_spread": -0.1}, "`layer_spread` is -0.1"),
        ({"layer_spread": 1.5}, "`layer_spread` is 1.5"),
        ({"search_in": "layers"}, "`search_in` is"),
    ],
)
def test_what_the_whole_code_cannot_be_searched_with_is_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        dataclasses.replace(SETTINGS, **settings)


def test_with_few_probes_a_search_of_every_layer_can_still_start_at_any_direction_of_all_layers():
    few = dataclasses.replace(layered().settings, num_probes=16, num_span_codes=64)
    wide = Discovery(
        lambda codes: codes[:, :2].sin(), lambda n, rng: torch.randn(n, 40, generator=rng).repeat(1, 3), few
    )
    assert 16 < wide.span.size < 120
    rows = torch.randn(2, 40, generator=torch.Generator().manual_seed(1)).repeat(1, LAYERS)
    given = dataclasses.replace(wide.directions(), vectors=rows, dual_vectors=rows)
    wide.initialize_near(given)
    cosines = torch.nn.functional.cosine_similarity(wide.directions().vectors, rows)
    assert cosines.min() > 0.999


MIXING = torch.tensor([[1.0, 0.0, 2.0, 1.0, 0.3, 1.0], [0.5, 1.0, -1.0, 3.0, 1.0, -0.2]])


def channels_of(count: int, rng: torch.Generator) -> torch.Tensor:
    """Six channels that are functions of two numbers."""
    return torch.randn(count, 2, generator=rng) @ MIXING


def two_channels(codes: torch.Tensor) -> torch.Tensor:
    """Features of two factors, a channel each, which codes move together."""
    waves = torch.arange(1, 5) / 3
    return torch.cat([torch.sin(codes[:, :1] * waves), torch.sin(codes[:, 1:2] * waves)], dim=1)


@pytest.mark.parametrize(("spread", "least", "most"), [(1.0, 0.1, 1.0), (0.05, 0.04, 0.051)])
def test_directions_of_channels_leave_what_codes_reach_as_far_as_is_asked_for(spread, least, most):
    settings = dataclasses.replace(
        SETTINGS, whitening="channels", num_directions=2, search_in="whole", steps=60, layer_spread=spread
    )
    search = Discovery(two_channels, channels_of, settings)
    search.initialize_near(dataclasses.replace(search.directions(), vectors=MIXING, dual_vectors=MIXING))
    start = search.rotation().clone()
    search.run()

    def outside(rotation: torch.Tensor) -> float:
        assert search.span.shared is not None
        return float((1 - (rotation @ search.span.shared).square().sum(1)).max())

    def mixed(rotation: torch.Tensor) -> float:
        pairs = search.directions(rotation).vectors[:, :2].abs()
        return float((pairs.amin(1) / pairs.amax(1)).max())

    assert outside(start) == pytest.approx(0, abs=1e-5)
    assert least < outside(search.rotation()) < most
    assert mixed(search.rotation()) < mixed(start)


def test_a_span_of_fewer_probes_than_coordinates_has_as_many_axes():
    codes = GENERATOR.sample_codes(100, torch.Generator().manual_seed(0))
    span = find_span(
        "effect",
        GENERATOR,
        codes,
        size=2,
        rng=torch.Generator().manual_seed(0),
        search_in="whole",
        num_probes=3,
    )
    assert isinstance(span, Span)
    assert (span.size, span.num_directions) == (3, 2)
