"""A search that runs out of the device's memory continues with smaller micro-batches; a training says what to lower."""

import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import HandBuiltGenerator
from tests.device.test_autoencoders import DATA
from tests.device.test_autoencoders import SETTINGS as TRAINING
from vae.data import open_data
from vae.training.loop import Training

SETTINGS = DiscoverySettings(span="identity", steps=2, batch_size=16, num_span_codes=64, shift=0.25)


def search_on(device) -> Discovery:
    generator = HandBuiltGenerator(seed=3, resolution=32).to(device)
    return Discovery(generator, generator.sample_codes, SETTINGS, device=device)


def test_out_of_memory_halves_the_micro_batch_and_warns(mimic):
    expected, search = search_on("cpu"), search_on("mimic")
    assert search.micro_batch == 16
    with (
        mimic.memory_limit(1_400_000),
        pytest.warns(UserWarning, match=r"out of memory: `micro_batch` is \d from now on, instead of \d+"),
    ):
        values = search.step()
    assert search.micro_batch < 16
    assert values["loss"] == pytest.approx(expected.step()["loss"], rel=1e-4)
    torch.testing.assert_close(search.directions().vectors, expected.directions().vectors, atol=2e-3, rtol=2e-3)


def test_a_device_without_room_for_one_code_is_an_error(mimic):
    search = search_on("mimic")
    before = search.rotation().clone()
    with (
        mimic.memory_limit(10_000),
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(TopdisError, match="with one code at a time; use a smaller `batch_size`"),
    ):
        search.step()
    assert torch.equal(search.rotation(), before)


def test_a_span_and_scores_that_do_not_fit_are_computed_with_half_the_micro_batch(mimic):
    settings = dataclasses.replace(SETTINGS, span="effect", num_directions=4, num_probes=32)
    whole, small = (HandBuiltGenerator(seed=3, resolution=32).to("mimic") for _ in range(2))
    expected = Discovery(whole, whole.sample_codes, settings, device="mimic", micro_batch=64)
    with mimic.memory_limit(2_000_000), pytest.warns(UserWarning, match="out of memory: `micro_batch` is"):
        search = Discovery(small, small.sample_codes, settings, device="mimic", micro_batch=64)
    assert search.micro_batch < 64
    torch.testing.assert_close(search.directions().vectors, expected.directions().vectors, atol=1e-3, rtol=1e-3)


def test_a_search_computes_directions_one_by_one_where_a_step_does_not_fit(mimic):
    expected, search = search_on("mimic"), search_on("mimic")
    with mimic.memory_limit(4_000_000), pytest.warns(UserWarning, match="out of memory"):
        values = search.step()
    assert values["loss"] == pytest.approx(expected.step()["loss"], rel=1e-4)


def test_a_training_that_does_not_fit_says_what_to_lower(mimic):
    training = Training(TRAINING, open_data(DATA), device="mimic")
    with (
        mimic.memory_limit(10_000),
        pytest.raises(TopdisError, match="out of memory at step 0; lower `batch_size`, `topdis"),
    ):
        training.step()
