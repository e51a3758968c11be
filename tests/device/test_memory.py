"""A search that runs out of the device's memory continues with smaller micro-batches."""

import pytest
import torch

from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import HandBuiltGenerator

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
