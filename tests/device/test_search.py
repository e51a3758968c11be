"""Search, scores and topology on the second device: the results of the CPU."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch

from ganspace_topdis.discovery import baselines
from ganspace_topdis.discovery.api import discover_directions
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.reconstructor_loss import small_encoder
from ganspace_topdis.discovery.settings import SEARCH_METHODS, DiscoverySettings
from ganspace_topdis.evaluation import matching, rescoring
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.protocol import ProtocolSettings, encoder_protocol
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.factors import Factor
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.latent.gradients import orthogonalize_gradient
from ganspace_topdis.latent.shift import gaussian_shift
from ganspace_topdis.topology import RTDLoss, rtd, rtd_lite, rtd_score

SETTINGS = {"steps": 3, "batch_size": 12, "num_span_codes": 128, "num_probes": 32, "shift": 0.25}
METHODS = {
    **{method: {"method": method} for method in SEARCH_METHODS},
    **{
        f"{method}, whole": {"method": method, "search_in": "whole", "shift_kind": "sigma"} for method in SEARCH_METHODS
    },
    "pca": {"span": "pca", "num_directions": 4},
    "effect": {"span": "effect", "num_directions": 4},
    "channels": {"span": "effect", "num_directions": 4, "whitening": "channels"},
    "sigma, per effect": {"shift_kind": "sigma", "shift": 1.0, "per_effect": True},
    "rtd-lite": {"divergence": "rtd-lite"},
    "micro-batches": {"micro_batch": 4},
}


def generator_on(device):
    return HandBuiltGenerator(seed=3, resolution=16).to(device)


def found_on(device, **more) -> Directions:
    generator = generator_on(device)
    options = {"span": "identity", **SETTINGS, **more}
    return discover_directions(generator, generator.sample_codes, device=device, **options)


def close(found, expected, tolerance=1e-4):
    torch.testing.assert_close(torch.as_tensor(found), torch.as_tensor(expected), atol=tolerance, rtol=tolerance)


def clouds(device, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(12, 5, generator=rng) for _ in range(2))
    x[1] = x[0]  # coincident
    y[3] = y[2] + 1e-5
    return (cloud.to(device).requires_grad_(True) for cloud in (x, y))


def some_directions() -> Directions:
    generator = generator_on("cpu")
    codes = generator.sample_codes(64, torch.Generator().manual_seed(0))
    return baselines.ganspace(codes, 4)


def codes_on(device, count=64):
    return generator_on("cpu").sample_codes(count, torch.Generator().manual_seed(1)).to(device)


@pytest.mark.parametrize("name", METHODS)
def test_every_search_finds_the_directions_of_the_cpu(device, name):
    here, there = (found_on(where, **METHODS[name]) for where in ("cpu", device))
    close(there.vectors, here.vectors, 2e-3)
    for key in ("rtd_before", "rtd_after", "effect"):
        close(there.metadata[key], here.metadata[key], 2e-3)


def test_a_search_starts_near_given_directions(device):
    close(
        found_on(device, start=some_directions(), steps=0).vectors,
        found_on("cpu", start=some_directions(), steps=0).vectors,
    )


@pytest.mark.parametrize("method", SEARCH_METHODS)
@pytest.mark.parametrize(("first", "second"), [("cpu", "device"), ("device", "cpu"), ("device", "device")])
def test_a_search_resumes_on_another_device(device, method, first, second):
    settings = DiscoverySettings(span="identity", method=method, **SETTINGS)
    whole, places = found_search(settings, "cpu"), {"cpu": torch.device("cpu"), "device": device}
    part = found_search(dataclasses.replace(settings), places[first], stop_at=1)
    generator = generator_on(places[second])
    resumed = Discovery.resume(generator, generator.sample_codes, settings, part.state(), device=places[second])
    resumed.run()
    close(resumed.directions().vectors, whole.directions().vectors, 2e-3)


def found_search(settings, device, stop_at=None) -> Discovery:
    generator = generator_on(device)
    search = Discovery(generator, generator.sample_codes, settings, device=device)
    while search.step_index < (search.num_steps if stop_at is None else stop_at):
        search.step()
    return search


def test_bf16_changes_the_scores_by_rounding_only(device):
    found, expected = found_on(device, precision="bf16", steps=0), found_on("cpu", steps=0)
    assert sorted(found.metadata["effect"]) == pytest.approx(sorted(expected.metadata["effect"]), rel=0.05)
    assert found.metadata["effect"] != expected.metadata["effect"]


def test_the_baselines_are_those_of_the_cpu(device):
    def made(where):
        generator, codes = generator_on(where), codes_on(where)
        weight = torch.randn(9, codes.shape[1], generator=torch.Generator().manual_seed(2)).to(where)
        return [
            baselines.ganspace(codes, 3),
            baselines.ganspace_of_features(generator, codes, 3, micro_batch=32),
            baselines.sefa(weight, codes, 3),
            baselines.coordinate_axes(codes, 3),
            baselines.coordinate_axes(codes, 3, importance=codes.var(0)),
        ]

    for here, there in zip(made("cpu"), made(device), strict=True):
        close(there.vectors, here.vectors)


def test_rtd_and_its_gradient_are_those_of_the_cpu(device):
    functions = {
        "rtd": rtd,
        "all bars": lambda x, y: RTDLoss(p=2)(x, y),
        "few bars": lambda x, y: rtd(x, y, max_bars=3, variant="max"),
        "batched": lambda x, y: rtd(x[None], y[None], batched=True).sum(),
        "lite": lambda x, y: rtd_lite(x, y, variant="minmax"),
        "bf16": lambda x, y: rtd(x.bfloat16(), y.bfloat16()),
    }
    for name, function in functions.items():
        results = []
        for where in ("cpu", device):
            x, y = clouds(where)
            value = function(x, y)
            value.backward()
            results.append([part.detach().cpu() for part in (value, x.grad, y.grad)])
        for here, there in zip(*results, strict=True):
            torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
    close(rtd_score(*clouds(device), batch=8, trials=2).values, rtd_score(*clouds("cpu"), batch=8, trials=2).values)


def test_rtd_in_float64_is_that_of_the_cpu(mimic):
    results = []
    for where in ("cpu", "mimic"):
        x, y = (cloud.detach().double().requires_grad_(True) for cloud in clouds(where))
        rtd(x, y).backward()
        results.append(torch.cat([x.grad.cpu(), y.grad.cpu()]))
    assert results[1].dtype == torch.float64
    torch.testing.assert_close(results[1], results[0], atol=1e-9, rtol=1e-9)


def test_clouds_of_any_scale_have_the_rtd_of_the_cpu(device):
    for scale in (1e-25, 1e25):
        here, there = (rtd(*(scale * cloud.detach() for cloud in clouds(where))) for where in ("cpu", device))
        close(there.cpu(), here)


def test_the_shift_and_the_orthogonal_gradient_are_those_of_the_cpu(device):
    results = []
    for where in ("cpu", device):
        x, y = clouds(where)
        shifted, kept = gaussian_shift(x.detach(), 2, 0.125)
        results.append((shifted.cpu(), kept.cpu(), orthogonalize_gradient(x.detach(), y.detach()).cpu()))
    for here, there in zip(*results, strict=True):
        torch.testing.assert_close(there, here)


def network_on(device) -> FactorNetwork:
    factors = [Factor("size", 4, "linear"), Factor("hue", 4, "circular"), Factor("shape", 3, "categorical")]
    torch.manual_seed(0)
    network = FactorNetwork(factors, 16, width=4, channels=generator_on("cpu")(codes_on("cpu", 2)).shape[1])
    return network.to(device).eval().requires_grad_(False)


def test_the_scores_with_known_factors_are_those_of_the_cpu(device):
    results = []
    for where in ("cpu", device):
        generator, network, codes = generator_on(where), network_on(where), codes_on(where)
        oracle = rescoring.oracle(generator, network.read, codes)
        scores = rescoring.rescore(generator, network.read, codes[:20], some_directions())
        floor = rescoring.noise_floor(generator, network.read, codes[:20])
        results.append((oracle.vectors, torch.tensor(scores.matrix), torch.tensor(scores.share), torch.tensor(floor)))
    for here, there in zip(*results, strict=True):
        close(there, here, 1e-3)


def test_matchings_are_those_of_the_cpu(device):
    results = []
    for where in ("cpu", device):
        generator, codes, directions = generator_on(where), codes_on(where, 8), some_directions()
        vectors, changes = directions.vectors.to(where), matching.image_changes(generator, directions, codes)
        results.append(
            (
                matching.recovery(vectors, vectors.flip(0)).cosines,
                matching.coordinate_recovery(codes[:, :3], codes[:, :2]).cosines,
                matching.match_changes(changes.to(where), changes.flip(0).to(where)).similarity,
                matching.match(vectors @ vectors.T),
                matching.effect_sizes(generator, directions, codes),
            )
        )
    for here, there in zip(*results, strict=True):
        assert there == pytest.approx(here, abs=1e-4)


def test_reconstructor_and_protocol_are_those_of_the_cpu(device):
    def scored(where):
        generator, codes = generator_on(where), codes_on(where)
        settings = ReconstructorSettings(num_steps=2, batch_size=8)
        accuracy = reconstructor_accuracy(generator, some_directions(), codes, settings).accuracy
        protocol = ProtocolSettings(
            num_steps=4, batch_size=16, num_train=60, num_test=30, num_votes=9, vote_size=4, width=4
        )

        def draw(indices):
            images = generator(codes[: len(indices)]) * torch.from_numpy(1.0 + indices[:, :1, None, None]).to(codes)
            return images + torch.from_numpy(indices[:, 1:, None, None]).to(codes)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few images: a classifier may not converge
            scores = encoder_protocol(generator, some_directions(), codes, draw, (3, 2), protocol)
        return [accuracy, *scores.as_dict().values()]

    assert scored(device) == pytest.approx(scored("cpu"), abs=0.02)


def test_no_function_reseeds_the_stream_of_the_device(mimic):
    torch.manual_seed(4)
    expected = torch.randn(3, device="mimic").cpu()
    torch.manual_seed(4)
    small_encoder(3, 2, (16, 16), 4, seed=0)
    found_on("mimic", method="reconstructor", steps=1)
    assert np.array_equal(torch.randn(3, device="mimic").cpu(), expected)
