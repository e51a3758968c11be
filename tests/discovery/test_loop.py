import dataclasses
import inspect

import pytest
import torch

from ganspace_topdis.discovery import stage
from ganspace_topdis.discovery.api import discover_directions, finalize
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import SEARCH_METHODS, DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions

SETTINGS = DiscoverySettings(span="identity", steps=8, batch_size=24, num_span_codes=256, shift=0.25)


def start(settings: DiscoverySettings = SETTINGS) -> Discovery:
    generator = HandBuiltGenerator(seed=3, resolution=16)
    return Discovery(generator, generator.sample_codes, settings)


def finish(search: Discovery) -> Discovery:
    while not search.finished:
        search.step()
    return search


def test_the_rotation_stays_orthonormal():
    rotation = finish(start()).stages[0].rotation()
    assert torch.allclose(rotation @ rotation.T, torch.eye(6), atol=1e-5)
    assert not torch.allclose(rotation, start().initial_rotation, atol=1e-3)


@pytest.mark.parametrize("kind", ["axes", "random"])
def test_a_search_starts_at_the_axes_of_the_span_or_at_a_random_rotation(kind):
    search = start(dataclasses.replace(SETTINGS, initialization=kind))
    assert torch.allclose(search.rotation(), torch.eye(6) if kind == "axes" else search.random_rotation, atol=1e-6)
    assert not torch.allclose(search.random_rotation, torch.eye(6), atol=0.5)


def test_two_searches_with_one_seed_are_identical():
    first, second = finish(start()), finish(start())
    assert torch.equal(first.directions().vectors, second.directions().vectors)


def test_another_seed_gives_another_search():
    other = finish(start(dataclasses.replace(SETTINGS, seed=1)))
    assert not torch.allclose(finish(start()).rotation(), other.rotation(), atol=1e-2)


VARIANTS = [{}, {"directions_per_step": 2}, {"per_effect": True, "final_shift": 0.1}]
VARIANTS += [{"method": method} for method in SEARCH_METHODS[1:]]
VARIANTS += [{"method": method, "search_in": "whole", "batch_size": 8} for method in SEARCH_METHODS]


@pytest.mark.parametrize("stop_at", [0, 1, 8, 9])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_resumed_search_takes_the_same_steps(stop_at, variant):
    settings = dataclasses.replace(SETTINGS, **variant)
    uninterrupted = finish(start(settings))
    stopped = start(settings)
    for _ in range(min(stop_at, stopped.num_steps)):
        stopped.step()
    generator = HandBuiltGenerator(seed=3, resolution=16)
    resumed = Discovery.resume(generator, generator.sample_codes, settings, stopped.state())
    for before, after in zip(stopped.state()[0].values(), resumed.state()[0].values(), strict=True):
        assert torch.equal(before, after)
    assert torch.equal(resumed.initial_rotation, uninterrupted.initial_rotation)
    assert resumed.num_steps == (8 if variant.get("search_in") == "whole" else 10)
    assert torch.equal(finish(resumed).directions().vectors, uninterrupted.directions().vectors)


def test_a_state_of_other_stages_is_one_of_another_version():
    generator = HandBuiltGenerator(seed=3, resolution=16)
    state = start().state()
    with pytest.raises(KeyError, match="stages"):
        Discovery.resume(generator, generator.sample_codes, dataclasses.replace(SETTINGS, search_in="span"), state)


@pytest.mark.parametrize("few", [{"steps": 3}, {"whole_steps": 0}, {"search_in": "span"}])
def test_the_whole_code_is_probed_only_where_steps_follow_there(few):
    settings = dataclasses.replace(SETTINGS, span="pca", **few)
    assert start(settings).span.whole is None
    assert start(dataclasses.replace(SETTINGS, span="pca")).span.whole is not None


def test_a_search_starts_near_the_directions_that_it_refines():
    generator = HandBuiltGenerator(seed=3, resolution=16)
    search = start()
    near = search.directions(torch.linalg.qr(torch.randn(6, 6))[0])
    search.initialize_near(near)
    assert recovery(search.directions().vectors, near.vectors).worst > 0.999
    step = search.step()
    resumed = Discovery.resume(generator, generator.sample_codes, SETTINGS, search.state())
    assert step["loss"] > 0
    assert torch.equal(resumed.initial_rotation, search.initial_rotation)


def test_the_size_of_a_micro_batch_changes_results_by_rounding_alone():
    one, two = (finish(start(dataclasses.replace(SETTINGS, steps=2, micro_batch=size))) for size in (7, 64))
    assert torch.allclose(one.rotation(), two.rotation(), atol=1e-4)


def test_a_resumed_search_keeps_its_micro_batch_for_any_free_memory(monkeypatch):
    generator = HandBuiltGenerator(seed=3, resolution=16)
    search = start()
    monkeypatch.setattr(stage, "choose_micro_batch", lambda *_, **__: 1)
    resumed = Discovery.resume(generator, generator.sample_codes, SETTINGS, search.state())
    assert resumed.micro_batch == search.micro_batch == 32
    assert start().micro_batch == 1


def test_features_that_are_not_finite_stop_the_search_before_a_step():
    generator = HandBuiltGenerator(seed=0, resolution=16)
    settings = dataclasses.replace(SETTINGS, search_in="span")
    search = Discovery(lambda c: generator(c) * float("nan"), generator.sample_codes, settings)
    with pytest.raises(TopdisError):
        search.step()
    assert torch.equal(search.rotation(), search.initial_rotation)


@pytest.mark.parametrize("divergence", ["rtd", "rtd-lite"])
@pytest.mark.parametrize("shift_kind", ["gaussian", "sigma"])
def test_every_variant_reports_a_positive_loss(divergence, shift_kind):
    search = start(dataclasses.replace(SETTINGS, divergence=divergence, shift_kind=shift_kind, steps=1))
    assert search.step()["loss"] > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("span", "ica"),
        ("shift", 0.0),
        ("shift", 1.0),
        ("batch_size", 3),
        ("steps", -1),
        ("p", 0.5),
        ("num_directions", 0),
        ("divergence", "mmd"),
        ("variant", "mean"),
        ("final_shift", 1.5),
        ("method", "ica"),
    ],
)
def test_a_setting_out_of_range_is_named(name, value):
    with pytest.raises(InvalidArgumentError, match=f"`{name}` is"):
        dataclasses.replace(SETTINGS, shift_kind="gaussian", **{name: value})


def test_the_true_axes_of_a_hand_built_generator_are_found():
    generator = HandBuiltGenerator(seed=0)
    directions = discover_directions(
        generator, generator.sample_codes, span="identity", steps=80, shift=1.0, shift_kind="sigma", learning_rate=0.1
    )
    assert recovery(directions.vectors, generator.true_directions).mean > 0.95


def test_directions_come_best_first_with_their_scores():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    directions = discover_directions(generator, generator.sample_codes, span="identity", steps=3, batch_size=32)
    facts = directions.metadata
    assert facts["score"] == sorted(facts["score"], reverse=True)
    for name in ("rtd_before", "rtd_after", "effect"):
        assert len(facts[name]) == 6
        assert min(facts[name]) > 0


def test_the_defaults_of_the_function_are_those_of_the_settings():
    fields = {field.name: field.default for field in dataclasses.fields(DiscoverySettings)}
    parameters = inspect.signature(discover_directions).parameters.values()
    shared = {each.name: each.default for each in parameters if each.name in fields and each.name != "start"}
    assert len(shared) == 6
    assert shared == {name: fields[name] for name in shared}


def test_the_function_starts_at_the_axes_of_the_span_by_default():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    settings = DiscoverySettings(steps=0, batch_size=16, span="identity", num_span_codes=256)
    search = Discovery(generator, generator.sample_codes, settings)
    found = discover_directions(generator, generator.sample_codes, **dataclasses.asdict(settings) | {"start": None})
    axes = search.directions(torch.eye(6)).vectors
    assert all((axes - vector).norm(dim=1).min() < 1e-5 for vector in found.in_sigmas().vectors)


def test_progress_is_called_after_every_step():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    calls = []
    discover_directions(
        generator,
        generator.sample_codes,
        span="identity",
        steps=4,
        batch_size=16,
        progress=lambda step, num_steps, **values: calls.append((step, num_steps, set(values))),
    )
    assert calls == [(step, 5, {"loss"}) for step in (1, 2, 3, 4, 5)]  # the last one in the whole code


def test_more_directions_than_the_span_has_are_refused():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    with pytest.raises(InvalidArgumentError, match="`num_directions` is 7, allowed are 1 to 6 in this span"):
        discover_directions(generator, generator.sample_codes, num_directions=7, steps=1)


def test_the_evaluation_counts_its_clouds_for_the_initial_and_the_final_directions():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    settings = DiscoverySettings(span="identity", steps=0, batch_size=8, num_span_codes=64)
    calls = []
    finalize(
        Discovery(generator, generator.sample_codes, settings), lambda step, num_steps: calls.append((step, num_steps))
    )
    shares = [step / num_steps for step, num_steps in calls]
    assert shares == sorted(set(shares))
    assert len(calls) == 30 + 70  # five clouds of six directions, twice, and two of twenty random ones
    assert shares[29] == 0.5
    assert shares[-1] == 1


def search_in_precision(dtype, **more):
    generator = HandBuiltGenerator(resolution=8).to(dtype)
    quick = {"num_directions": 2, "steps": 4, "batch_size": 8, "num_span_codes": 64, "num_probes": 16}
    return discover_directions(
        generator, lambda count, rng: torch.randn(count, 6, generator=rng).to(dtype), **quick, **more
    )


@pytest.mark.parametrize("search_in", ["span", "both", "whole"])
def test_generators_in_double_precision_are_searched(search_in):
    assert search_in_precision(torch.float64, search_in=search_in).vectors.isfinite().all()


def test_codes_in_half_precision_are_refused_with_what_to_do():
    with pytest.raises(InvalidArgumentError, match=r"returned torch.bfloat16, .* set `precision` to bf16"):
        search_in_precision(torch.bfloat16)


def test_a_search_of_a_single_axis_says_that_it_changes_nothing():
    with pytest.warns(UserWarning, match="the span has one axis, so a search in it changes nothing"):
        start(dataclasses.replace(SETTINGS, span="effect", num_directions=1, num_probes=16))


def test_a_start_outside_the_span_is_replaced_by_a_unit_vector_inside():
    generator = HandBuiltGenerator(seed=3, resolution=16)

    def sample(count, rng):
        return torch.cat([generator.sample_codes(count, rng), torch.zeros(count, 2)], dim=1)

    settings = dataclasses.replace(SETTINGS, span="effect", num_directions=2, num_probes=16, search_in="whole")
    search = Discovery(lambda codes: generator(codes[:, :6]), sample, settings)
    axes = torch.eye(8)[[0, 6]]
    search.initialize_near(
        Directions(vectors=axes, dual_vectors=axes, mean=torch.zeros(8), span=torch.eye(8), scales=torch.ones(8))
    )
    assert torch.allclose(search.rotation().norm(dim=1), torch.ones(2), atol=1e-5)
    assert abs(search.rotation()[0] @ search.rotation()[1]) < 1e-4
