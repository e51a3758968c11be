from pathlib import Path

import pytest
import torch

import stylegan2
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.runs.checksummed import load_checksummed
from ganspace_topdis.runs.files import sha256_of
from vae.data import pebbles, scenes
from vae.data.scenes_torch import CodeToFactors, to_index_units

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "stylegan2" / "assets"


@pytest.mark.parametrize(
    "name", ["scenes", "scenes_64", "scenes_fitted", "scenes_factors", "pebbles", "pebbles_factors"]
)
def test_card_names_the_packaged_file(name: str) -> None:
    path = ASSETS / f"{name}.safetensors"
    assert sha256_of(path) in (ROOT / "docs" / "scenes.md").read_text()
    assert path.stat().st_size < 2_000_000


def test_factor_network_reads_rendered_scenes() -> None:
    network = FactorNetwork.load(ASSETS / "scenes_factors.safetensors")
    random = torch.Generator().manual_seed(0)
    indices = torch.stack([torch.randint(size, (300,), generator=random) for size in scenes.SIZES], dim=1)
    images = torch.from_numpy(scenes.draw(indices.numpy(), 32)).permute(0, 3, 1, 2) / 127.5 - 1
    read = torch.stack([logits.argmax(dim=1) for logits in network(images)], dim=1)
    assert (read == indices).float().mean(dim=0).min() > 0.97


def test_factor_network_reads_drawn_pebbles_within_a_value() -> None:
    network = FactorNetwork.load(ASSETS / "pebbles_factors.safetensors")
    values = pebbles.uniform_values(300, torch.Generator().manual_seed(0))
    read = torch.stack(network.read(pebbles.draw(values)).values, dim=1) * 9
    error = (read - pebbles.to_index_units(values)).abs()
    assert error.mean() < 0.35
    assert (error < 1).float().mean(dim=0).min() > 0.9


def test_packaged_generator_of_pebbles_makes_every_value_but_few_of_the_most_pointed_and_angular_shapes() -> None:
    generator = stylegan2.load("pebbles")
    network = FactorNetwork.load(ASSETS / "pebbles_factors.safetensors")
    random = torch.Generator().manual_seed(1)
    z = torch.randn(1500, generator.z_dim, generator=random)
    made = torch.cat([generator.synthesis(generator.mapping(part)).clamp(-1, 1) for part in z.split(250)])
    drawn = pebbles.draw(pebbles.uniform_values(1500, random))
    for factor, of_made, of_drawn in zip(network.factors, network(made), network(drawn), strict=True):
        counts = [torch.bincount(logits.argmax(dim=1), minlength=10) for logits in (of_made, of_drawn)]
        relative = counts[0] / counts[1]
        assert relative.min() > (0.1 if factor.name == "shape" else 0.5)
        assert relative.max() < (2.5 if factor.name == "shape" else 2)


@pytest.mark.parametrize("name", ["scenes", "scenes-64"])
def test_packaged_generator_makes_every_hue_and_shape(name: str) -> None:
    generator = stylegan2.load(name)
    network = FactorNetwork.load(ASSETS / "scenes_factors.safetensors")
    z = torch.randn(1500, generator.z_dim, generator=torch.Generator().manual_seed(1))
    images = torch.cat([generator.synthesis(generator.mapping(part)).clamp(-1, 1) for part in z.split(250)])
    for factor, logits in zip(network.factors, network(images), strict=True):
        if factor.kind != "linear":
            shares = torch.bincount(logits.argmax(dim=1), minlength=factor.size) / len(images)
            assert shares.min() * factor.size > 0.5
            assert shares.max() * factor.size < 2


def test_the_fitted_generator_draws_what_its_truth_says() -> None:
    generator = stylegan2.load("scenes-fitted")
    description = load_checksummed(ASSETS / "scenes_fitted.safetensors")[1]
    truth = CodeToFactors.from_metadata(description["source"]["truth"])
    z = torch.randn(250, generator.z_dim, generator=torch.Generator().manual_seed(2))
    network = FactorNetwork.load(ASSETS / "scenes_factors.safetensors")
    logits = network(generator.synthesis(generator.mapping(z)).clamp(-1, 1))
    for factor, one, true in zip(network.factors, logits, to_index_units(truth.values(z)).T, strict=True):
        error = (one.argmax(dim=1) - true).abs()
        nearest = torch.minimum(error, factor.size - error) if factor.kind == "circular" else error
        assert (nearest <= 0.3 * factor.size).float().mean() > 0.97
