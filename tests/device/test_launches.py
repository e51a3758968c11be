"""How many kernels a step launches on a device, and how often the host waits for it: what makes small steps slow there.

The limits are today's counts. Lower them with the code; raise them only for a reason.
"""

import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.generators import HandBuiltGenerator
from tests.device.test_autoencoders import DATA, SETTINGS, SMALL
from vae.data import open_data
from vae.method_options import complete_options
from vae.settings import TopDisSettings
from vae.training.loop import Training

SLACK = 1.0 if torch.__version__.startswith("2.13.") else 1.05
"""The counts are of torch 2.13; another version composes its operations a little differently."""


def counted(mimic, step) -> tuple[int, int]:
    """Launches and waits of the second of two steps."""
    step()
    mimic.reset()
    step()
    counts = mimic.counts()
    return counts["launches"], counts["waits"]


@pytest.mark.parametrize(("shift_kind", "launches", "waits"), [("gaussian", 226, 2), ("sigma", 173, 2)])
def test_a_search_step_of_six_directions_stays_within_its_counts(mimic, shift_kind, launches, waits):
    generator = HandBuiltGenerator(seed=3, resolution=16).to("mimic")
    settings = DiscoverySettings(
        span="identity", shift_kind=shift_kind, shift=0.25, steps=2, batch_size=12, num_span_codes=64
    )
    search = Discovery(generator, generator.sample_codes, settings, device="mimic")
    found = counted(mimic, search.step)
    assert found[0] <= launches * SLACK
    assert found[1] <= waits


TRAININGS = [("beta-vae", False, 78, 1), ("beta-vae", True, 227, 3), ("factor-vae", True, 336, 3)]


@pytest.mark.parametrize(("method", "topdis", "launches", "waits"), TRAININGS)
def test_a_training_step_stays_within_its_counts(mimic, method, topdis, launches, waits):
    settings = dataclasses.replace(
        SETTINGS,
        method=method,
        options=complete_options(method, SMALL.get(method, {})),
        topdis=TopDisSettings(weight=5.0) if topdis else None,
    )
    training = Training(settings, open_data(DATA), device="mimic")
    found = counted(mimic, training.step)
    assert found[0] <= launches * SLACK
    assert found[1] <= waits
