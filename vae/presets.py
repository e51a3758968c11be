"""Published settings as presets of `train-vae`: one row per published training, named after its source.

Values are those of the sources' configuration files and scripts, named below; what they leave open keeps the defaults
of `train-vae`. No torch is imported here. Not reproduced: the releases' data order (shuffled epochs; here images are
drawn with replacement), and their random numbers.

    locatello-*    disentanglement_lib's study (Locatello et al. 2019), one strength of each sweep
    yanndubs-*     the repository disentangling-vae (Dubois et al.), dSprites: hyperparam.ini; what is ramped is in
                   disvae/models/losses.py (148, 270, 379)
    higgins-*      Higgins et al. 2017, the fully connected network for dSprites (here with Adam)
    burgess-*      Burgess et al. 2018
    konny-*        1Konny's FactorVAE: run scripts; model.py initializes linear layers and convolutions only
    chen-*         Chen et al. 2018 (beta-TCVAE); 50 epochs of dSprites are 18,000 steps of 2048 images
    shao-*         Shao et al. 2020 (ControlVAE): the C18 script, model H
    estermann-*    Estermann and Wattenhofer 2023 (DAVA): README's command, github.com/besterma/dava
    topdis-*       Balabin et al. 2024 (github.com/nikitabalabin/TopDis, commit 2ca9d2e): the trainings with released
                   scripts, with the TopDis loss as released, and their baselines without it.
                   beta-TCVAE: BetaTCVAE_TopDis/run_dsprites_rtd5.sh; no learning rate and no --mss, so vae_quant.py's
                   1e-3 (line 596) and weighted sampling (603); same batch, no orthogonalization (700 to 703).
                   ControlVAE: ControlVAE_TopDis/run_dsprites_pid_c18_L_rtd5.sh; Kaiming weights (model.py 220); same
                   batch, no orthogonalization (solver_light.py 237 to 240).
                   FactorVAE: FactorVAE_TopDis/run_mpi3d_complex.sh; second batch (solver.py 179), --orthogonalize
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS"]

_STUDY = {"network": "locatello", "steps": 300_000, "batch_size": 64, "learning_rate": 1e-4}
_DUBOIS = {"data": "dsprites", "network": "burgess", "learning_rate": 5e-4, "ramp_steps": 10_000, "steps": 345_600}
_SIX_LAYERS = {"discriminator_layers": 6, "discriminator_weights": "normal"}
_KONNY = {
    "method": "factor-vae",
    "network": "narrow",
    "initial_weights": "normal-partial",
    "learning_rate": 1e-4,
    **_SIX_LAYERS,
}
_TOPDIS = {"learning_rate": 1e-4, "batch_size": 64, "steps": 1_000_000}
_ON = {"topdis_delay": 100_000}
_TOPDIS_TC = {
    **_TOPDIS,
    "data": "dsprites",
    "method": "beta-tcvae",
    "network": "wide",
    "initial_weights": "normal-partial",
    "beta": 6.0,
    "estimator": "mws",
    "learning_rate": 1e-3,
    "steps": 1_152_000,
}
_TOPDIS_CONTROL = {
    **_TOPDIS,
    "data": "dsprites",
    "method": "control-vae",
    "network": "wide",
    "initial_weights": "kaiming-partial",
    "capacity": 18.0,
}
_TOPDIS_FACTOR = {**_TOPDIS, **_KONNY, "data": "mpi3d-complex", "gamma": 5.0}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "locatello-beta-vae": {**_STUDY, "method": "beta-vae", "beta": 4.0},
    "locatello-annealed-vae": {**_STUDY, "method": "annealed-vae", "gamma": 1000.0, "capacity": 25.0},
    "locatello-factor-vae": {
        **_STUDY,
        "method": "factor-vae",
        "gamma": 30.0,
        "permute": "same",
        "discriminator_layers": 6,
    },
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
        "ramp_steps": 0,
    },
    "yanndubs-factor-vae": {**_DUBOIS, "method": "factor-vae", "gamma": 6.4, "learning_rate": 1e-4, "ramp": "tc"},
    "yanndubs-beta-tcvae": {**_DUBOIS, "method": "beta-tcvae", "beta": 6.4, "ramp": "kl"},
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
        "network": "narrow-256",
        "initial_weights": "kaiming-partial",
        "capacity": 18.0,
        "learning_rate": 1e-4,
        "batch_size": 64,
        "steps": 1_500_000,
    },
    "estermann-dava": {
        "data": "dsprites",
        "method": "dava",
        "network": "locatello-k4",
        "initial_weights": "torch",
        "learning_rate": 1e-4,
        "batch_size": 128,
        "steps": 150_000,
    },
    "topdis-beta-tcvae": {**_TOPDIS_TC, **_ON, "topdis": 5.0, "topdis_as": "released"},
    "topdis-beta-tcvae-without": _TOPDIS_TC,
    "topdis-control-vae": {**_TOPDIS_CONTROL, **_ON, "topdis": 5.0, "topdis_as": "released"},
    "topdis-control-vae-without": _TOPDIS_CONTROL,
    "topdis-factor-vae": {**_TOPDIS_FACTOR, **_ON, "topdis": 6.0, "topdis_loss": "rtd-released"},
    "topdis-factor-vae-without": _TOPDIS_FACTOR,
}
"""Preset -> options of `train-vae` by their names in the code."""
