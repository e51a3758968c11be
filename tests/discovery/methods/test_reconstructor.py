import torch

from ganspace_topdis.discovery import DiscoverySettings, discover_directions
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
from ganspace_topdis.evaluation.recovery import recovery

SETTINGS = {"method": "reconstructor", "span": "identity", "batch_size": 32, "num_span_codes": 1000}


def test_hand_built_directions_are_recovered_better_than_by_a_random_start():
    generator = HandBuiltGenerator(seed=0, resolution=16)
    start = Discovery(generator, generator.sample_codes, DiscoverySettings(**SETTINGS)).directions()
    found = discover_directions(generator, generator.sample_codes, steps=300, learning_rate=0.05, **SETTINGS)
    truth = generator.true_directions
    assert recovery(found.vectors, truth).mean > recovery(start.vectors, truth).mean + 0.05


def test_the_network_is_trained_along():
    generator = HandBuiltGenerator(seed=0, resolution=16)
    search = Discovery(generator, generator.sample_codes, DiscoverySettings(steps=40, learning_rate=1e-9, **SETTINGS))
    losses = [search.step()["loss"] for _ in range(40)]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_plain_rows_of_features_will_do():
    search = Discovery(
        lambda codes: torch.cat([codes, codes**2], dim=1),
        lambda count, rng: torch.randn(count, 4, generator=rng),
        DiscoverySettings(steps=2, **SETTINGS),
    )
    assert search.step()["loss"] > 0
