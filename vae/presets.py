"""Published settings as presets of `train-vae`: one row per published training, named after its source.

Values are those of the sources' configuration files and READMEs; what they leave open keeps the defaults of
`train-vae`. No torch is imported here.

    locatello-*    disentanglement_lib's study (Locatello et al. 2019), one strength of each sweep
    yanndubs-*     the repository disentangling-vae (Dubois et al.), dSprites
    higgins-*      Higgins et al. 2017, the fully connected network for dSprites (here with Adam)
    burgess-*      Burgess et al. 2018
    konny-*        1Konny's FactorVAE
    chen-*         Chen et al. 2018 (beta-TCVAE); 50 epochs of dSprites are 18,000 steps of 2048 images
    shao-*         Shao et al. 2020 (ControlVAE)
    estermann-*    Estermann and Wattenhofer 2023 (DAVA)
    topdis-*       Balabin et al. 2024: the trainings with released scripts, and their baselines without TopDis
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS"]

_STUDY = {"network": "locatello", "steps": 300_000, "batch_size": 64, "learning_rate": 1e-4}
_DUBOIS = {"data": "dsprites", "network": "burgess", "learning_rate": 5e-4, "ramp_steps": 10_000, "steps": 345_600}
_KONNY = {"method": "factor-vae", "network": "narrow", "initial_weights": "normal", "learning_rate": 1e-4}
_TOPDIS = {"initial_weights": "normal", "learning_rate": 1e-4, "batch_size": 64, "steps": 1_000_000}
_ON = {"topdis_delay": 100_000}
_TOPDIS_TC = {**_TOPDIS, "data": "dsprites", "method": "beta-tcvae", "network": "wide", "beta": 6.0, "steps": 1_152_000}
_TOPDIS_CONTROL = {**_TOPDIS, "data": "dsprites", "method": "control-vae", "network": "wide", "capacity": 18.0}
_TOPDIS_FACTOR = {**_TOPDIS, "data": "mpi3d-complex", "method": "factor-vae", "network": "narrow", "gamma": 5.0}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "locatello-beta-vae": {**_STUDY, "method": "beta-vae", "beta": 4.0},
    "locatello-annealed-vae": {**_STUDY, "method": "annealed-vae", "gamma": 1000.0, "capacity": 25.0},
    "locatello-factor-vae": {**_STUDY, "method": "factor-vae", "gamma": 30.0, "permute": "same"},
    "locatello-beta-tcvae": {**_STUDY, "method": "beta-tcvae", "beta": 6.0, "estimator": "minibatch"},
    "locatello-dip-vae-1": {**_STUDY, "method": "dip-vae-1", "lambda_offdiagonal": 5.0, "lambda_diagonal": 50.0},
    "locatello-dip-vae-2": {**_STUDY, "method": "dip-vae-2", "lambda_offdiagonal": 5.0, "lambda_diagonal": 5.0},
    "yanndubs-vae": {**_DUBOIS, "method": "vae"},
    "yanndubs-beta-vae": {**_DUBOIS, "method": "beta-vae", "beta": 4.0},
    "yanndubs-annealed-vae": {
        **_DUBOIS,
        "method": "annealed-vae",
        "gamma": 100.0,
        "capacity": 25.0,
        "capacity_steps": 100_000,
        "learning_rate": 1e-3,
    },
    "yanndubs-factor-vae": {**_DUBOIS, "method": "factor-vae", "gamma": 6.4},
    "yanndubs-beta-tcvae": {**_DUBOIS, "method": "beta-tcvae", "beta": 6.4},
    "higgins-beta-vae": {"data": "dsprites", "method": "beta-vae", "network": "fc", "beta": 4.0},
    "burgess-annealed-vae": {
        "data": "dsprites",
        "method": "annealed-vae",
        "network": "burgess",
        "gamma": 1000.0,
        "capacity": 25.0,
        "capacity_steps": 100_000,
        "learning_rate": 5e-4,
    },
    "konny-factor-vae-dsprites": {**_KONNY, "data": "dsprites", "gamma": 6.4, "steps": 700_000},
    "konny-factor-vae-celeba": {
        **_KONNY,
        "data": "celeba",
        "gamma": 6.4,
        "discriminator_rate": 1e-5,
        "steps": 1_000_000,
    },
    "chen-beta-tcvae": {
        "data": "dsprites",
        "method": "beta-tcvae",
        "network": "fc",
        "beta": 6.0,
        "estimator": "mws",
        "learning_rate": 1e-3,
        "batch_size": 2048,
        "steps": 18_000,
    },
    "shao-control-vae": {
        "data": "dsprites",
        "method": "control-vae",
        "network": "burgess",
        "capacity": 18.0,
        "learning_rate": 1e-4,
        "batch_size": 64,
        "steps": 1_500_000,
    },
    "estermann-dava": {
        "data": "dsprites",
        "method": "dava",
        "network": "wide-norm",
        "learning_rate": 1e-4,
        "batch_size": 128,
        "steps": 150_000,
    },
    "topdis-beta-tcvae": {**_TOPDIS_TC, **_ON, "topdis": 5.0},
    "topdis-beta-tcvae-without": _TOPDIS_TC,
    "topdis-control-vae": {**_TOPDIS_CONTROL, **_ON, "topdis": 5.0},
    "topdis-control-vae-without": _TOPDIS_CONTROL,
    "topdis-factor-vae": {**_TOPDIS_FACTOR, **_ON, "topdis": 6.0},
    "topdis-factor-vae-without": _TOPDIS_FACTOR,
}
"""Preset -> options of `train-vae` by their names in the code."""
