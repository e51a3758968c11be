"""Published settings: every value that a preset or a grid of the paper trains with, by its formula or its source.

Sources of the presets, with file and line, are in `vae.presets`; those of the grids are in their notes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tests.vae.commands.test_vae_commands import training
from tests.vae.networks.test_networks import num_parameters
from vae.data.catalog import CATALOG
from vae.networks import build_networks
from vae.presets import PRESETS
from vae.settings import TopDisSettings, TrainSettings
from vae.suite.grid_file import find_grid

NUM_DSPRITES = 3 * 6 * 40 * 32 * 32
COLORS = {"dsprites": 1, "dsprites-cached": 1, "3dfaces": 1, "3dshapes": 3, "mpi3d-complex": 3, "celeba": 3}
TOPDIS = (
    *("weight", "delay", "version", "loss", "batch", "orthogonalize", "margin"),
    *("p", "shift", "codes", "choice", "points", "features"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What a training depends on; `options` holds all options of the method, `topdis` those in TOPDIS."""

    data: str = "dsprites"
    network: str
    weights: str
    method: str
    options: Mapping[str, Any]
    rate: float
    batch: int = 64
    steps: int
    ramp_steps: int = 0
    topdis: Mapping[str, Any] | None = None


def found(settings: TrainSettings) -> Row:
    return Row(
        data=settings.data,
        network=settings.network,
        weights=settings.initial_weights,
        method=settings.method,
        options=settings.options,
        rate=settings.learning_rate,
        batch=settings.batch_size,
        steps=settings.steps,
        ramp_steps=settings.ramp_steps,
        topdis=settings.topdis and {name: getattr(settings.topdis, name) for name in TOPDIS},
    )


def factor(
    gamma: float, layers: int, weights: str, permute: str = "second", rate: float | None = None, ramp: str = "penalty"
) -> dict[str, Any]:
    """Adam's betas and the width are those of every source."""
    return {
        "gamma": gamma,
        "permute": permute,
        "discriminator_rate": rate,
        "discriminator_betas": (0.5, 0.9),
        "discriminator_width": 1000,
        "discriminator_layers": layers,
        "discriminator_weights": weights,
        "ramp": ramp,
    }


def total_correlation(beta: float, estimator: str, ramp: str = "penalty") -> dict[str, Any]:
    return {"beta": beta, "estimator": estimator, "ramp": ramp}


def control(capacity: float) -> dict[str, Any]:
    """The rest is written in solver_light.py."""
    steps = {"capacity_start": 0.5, "capacity_increase": 0.15, "capacity_every": 5000}
    return {"capacity": capacity, **steps, "kp": 0.01, "ki": -0.001, "floor": 1.0}


def dava(network: str) -> dict[str, Any]:
    """The command of DAVA's README; C grows for as many images as 100,000 batches hold."""
    return {
        "gamma": 500.0,
        "capacity": 8.0,
        "horizon": 100_000 * 128,
        "encoder_weight": 0.3,
        "decoder_weight": 0.001,
        "smoothing": 0.6,
        "carry_gradients": True,
        "discriminator_network": network,
        "discriminator_width": 32,
    }


def topdis(weight: float, delay: int, **own: Any) -> dict[str, Any]:
    """The loss of the paper's rtd_regularizer.py: C = 1/8 (line 42), --lp 1, --sample_based, --weightnorm_sampler.

    Corrected if nothing of its `own` is given.
    """
    published = {
        "p": 1.0,
        "shift": 1 / 8,
        "codes": "sample",
        "choice": "weighted",
        "points": None,
        "features": "pixels",
    }
    corrected = {
        "version": "corrected",
        "loss": "rtd",
        "batch": "second",
        "orthogonalize": "reconstruction",
        "margin": 0.01,
    }
    return {"weight": weight, "delay": delay, **published, **corrected, **own}


def study(method: str, options: Mapping[str, Any]) -> Row:
    weights, rate = "glorot-uniform", 1e-4
    return Row(network="locatello", weights=weights, method=method, options=options, rate=rate, steps=300_000)


def dubois(method: str, options: Mapping[str, Any], *, rate: float = 5e-4, ramp_steps: int = 10_000) -> Row:
    return Row(
        network="burgess",
        weights="kaiming-uniform",
        method=method,
        options=options,
        rate=rate,
        steps=30 * (NUM_DSPRITES // 64),
        ramp_steps=ramp_steps,
    )


def konny(data: str, options: Mapping[str, Any], steps: int) -> Row:
    weights = "normal-partial"
    return Row(
        data=data, network="narrow", weights=weights, method="factor-vae", options=options, rate=1e-4, steps=steps
    )


RELEASED_TC = Row(
    network="wide",
    weights="normal-partial",
    method="beta-tcvae",
    options=total_correlation(6.0, "mws"),
    rate=1e-3,
    steps=100 * (NUM_DSPRITES // 64),
)
RELEASED_CONTROL = Row(
    network="wide",
    weights="kaiming-partial",
    method="control-vae",
    options=control(18.0),
    rate=1e-4,
    steps=1_000_000,
)
RELEASED_FACTOR = konny("mpi3d-complex", factor(5.0, 6, "normal"), 1_000_000)
AS_RELEASED = topdis(
    *(5.0, 100_000 - 1),
    version="released",
    loss="rtd-released",
    batch="same",
    orthogonalize="none",
    margin=0.0,
)

EXPECTED = {
    "locatello-beta-vae": study("beta-vae", {"beta": 4.0}),
    "locatello-annealed-vae": study("annealed-vae", {"gamma": 1000.0, "capacity": 25.0, "capacity_steps": 100_000}),
    "locatello-factor-vae": study("factor-vae", factor(30.0, 6, "glorot-uniform", permute="same")),
    "locatello-beta-tcvae": study("beta-tcvae", total_correlation(6.0, "minibatch")),
    "locatello-dip-vae-1": study("dip-vae-1", {"lambda_offdiagonal": 5.0, "lambda_diagonal": 10 * 5.0}),
    "locatello-dip-vae-2": study("dip-vae-2", {"lambda_offdiagonal": 5.0, "lambda_diagonal": 1 * 5.0}),
    "yanndubs-vae": dubois("vae", {}),
    "yanndubs-beta-vae": dubois("beta-vae", {"beta": 4.0}),
    "yanndubs-annealed-vae": dubois(
        "annealed-vae", {"gamma": 100.0, "capacity": 25.0, "capacity_steps": 100_000}, rate=1e-3, ramp_steps=0
    ),
    "yanndubs-factor-vae": dubois("factor-vae", factor(6.4, 5, "kaiming-uniform", ramp="tc"), rate=1e-4),
    "yanndubs-beta-tcvae": dubois("beta-tcvae", total_correlation(6.4, "mss", ramp="kl")),
    "higgins-beta-vae": Row(
        network="fc", weights="kaiming", method="beta-vae", options={"beta": 4.0}, rate=1e-4, steps=300_000
    ),
    "burgess-annealed-vae": Row(
        network="burgess",
        weights="kaiming",
        method="annealed-vae",
        options={"gamma": 1000.0, "capacity": 25.0, "capacity_steps": 100_000},
        rate=5e-4,
        steps=300_000,
    ),
    "konny-factor-vae-dsprites": konny("dsprites", factor(6.4, 5, "normal"), 700_000),
    "konny-factor-vae-celeba": konny("celeba", factor(6.4, 5, "normal", rate=1e-5), 1_000_000),
    "chen-beta-tcvae": Row(
        network="fc",
        weights="torch",
        method="beta-tcvae",
        options=total_correlation(6.0, "mws"),
        rate=1e-3,
        batch=2048,
        steps=50 * (NUM_DSPRITES // 2048),
    ),
    "shao-control-vae": dataclasses.replace(RELEASED_CONTROL, network="narrow-256", steps=1_500_000),
    "estermann-dava": Row(
        network="locatello-k4",
        weights="torch",
        method="dava",
        options=dava("narrow"),
        rate=1e-4,
        batch=128,
        steps=150_000,
    ),
    "topdis-beta-tcvae": dataclasses.replace(RELEASED_TC, topdis=AS_RELEASED),
    "topdis-beta-tcvae-without": RELEASED_TC,
    "topdis-control-vae": dataclasses.replace(RELEASED_CONTROL, topdis=AS_RELEASED),
    "topdis-control-vae-without": RELEASED_CONTROL,
    "topdis-factor-vae": dataclasses.replace(
        RELEASED_FACTOR, topdis=topdis(6.0, 100_000, loss="rtd-released", margin=0.0)
    ),
    "topdis-factor-vae-without": RELEASED_FACTOR,
}


def test_the_formulas_give_the_published_numbers_of_steps() -> None:
    steps = [EXPECTED[name].steps for name in ("yanndubs-vae", "chen-beta-tcvae", "topdis-beta-tcvae")]
    assert steps == [345_600, 18_000, 1_152_000]
    assert 2 * 30 * (NUM_DSPRITES // (2 * 64)) == 345_600  # disentangling-vae's FactorVAE: twice the epochs and batch


def test_every_preset_is_in_the_table() -> None:
    assert EXPECTED.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains_with_the_published_values(name: str) -> None:
    settings = training(**PRESETS[name])
    assert found(settings) == EXPECTED[name]
    assert (settings.num_latents, settings.width, settings.likelihood) == (10, 1.0, "bernoulli")
    assert (settings.adam_betas, settings.max_grad_norm) == ((0.9, 0.999), None)


@pytest.mark.parametrize("name", PRESETS)
def test_the_network_of_a_preset_has_the_published_number_of_parameters(name: str) -> None:
    settings = training(**PRESETS[name])
    with torch.device("meta"):
        model = build_networks(
            settings.network, image_shape=CATALOG[settings.data].image_shape, num_latents=settings.num_latents
        )
    expected = num_parameters(EXPECTED[name].network, COLORS[EXPECTED[name].data])
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def paper(data: str, network: str, *, gamma: float, wide: bool = False) -> dict[str, Row]:
    """The grid's rows without TopDis; `wide` is the wide network of all methods but FactorVAE."""
    base = Row(
        data=data,
        network=network,
        weights="normal-partial",
        method="factor-vae",
        options=factor(gamma, 6, "normal", rate=None if wide else 1e-4),
        rate=1e-4,
        steps=1_000_000,
    )
    other = dataclasses.replace(base, network="wide" if wide else network)
    tc_steps = 100 * (NUM_DSPRITES // 64) if wide else 1_000_000
    discriminator = "wide" if wide else "narrow"
    return {
        "beta-TCVAE": dataclasses.replace(
            other, method="beta-tcvae", options=total_correlation(6.0, "mws"), rate=1e-3, steps=tc_steps
        ),
        "beta-VAE": dataclasses.replace(other, method="beta-vae", options={"beta": 4.0}),
        "ControlVAE": dataclasses.replace(
            other, method="control-vae", options=control(18.0), weights="kaiming-partial"
        ),
        "FactorVAE": base,
        "DAVA": dataclasses.replace(other, method="dava", options=dava(discriminator), batch=128, steps=150_000),
    }


def celeba() -> dict[str, Row]:
    by_konny = EXPECTED["konny-factor-vae-celeba"]
    return {
        "beta-VAE": dataclasses.replace(by_konny, method="beta-vae", options={"beta": 4.0}),
        "FactorVAE": by_konny,
    }


GRIDS = {  # rows without TopDis, and its weight
    "paper-dsprites": (paper("dsprites-cached", "narrow", gamma=6.4, wide=True), 5.0),
    "paper-3dshapes": (paper("3dshapes", "narrow", gamma=7.0), 5.0),
    "paper-mpi3d": (paper("mpi3d-complex", "narrow", gamma=5.0), 6.0),
    "paper-3dfaces": (paper("3dfaces", "narrow-256", gamma=6.4), 5.0),
    "celeba": (celeba(), 5.0),
}


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_of_the_paper_trains_with_the_values_of_its_notes(name: str) -> None:
    rows, weight = GRIDS[name]
    expected = {}
    for method, row in rows.items():
        delay = 15_000 if method == "DAVA" else 100_000
        term = topdis(weight, delay)
        expected[method, "plain"] = row
        expected[method, "TopDis"] = dataclasses.replace(row, topdis=term)
    cells = find_grid(name).cells
    assert {(cell.labels["method"], cell.labels["variant"]) for cell in cells} == expected.keys()
    for cell in cells:
        settings = TrainSettings.from_tables(cell.settings, seed=cell.seed)
        assert found(settings) == expected[cell.labels["method"], cell.labels["variant"]]


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_of_the_paper_says_that_its_topdis_is_the_corrected_loss(name: str) -> None:
    assert any(note.startswith("TopDis is the corrected loss") for note in find_grid(name).notes)
    assert TopDisSettings().version == "corrected"
