"""Published settings as presets of `train-vae`: one row per published training, named after its source.

Values are those of the sources' configuration files and scripts, at the lines named below; what they leave open keeps
the defaults of `train-vae`. No torch is imported here.

    locatello-*    disentanglement_lib's study (Locatello et al. 2019): config/unsupervised_study_v1/model_configs/
                   shared.gin (16 to 39), one strength of each sweep in sweep.py (57, 63 to 65, 75, 82 to 83, 92 to 93,
                   101); methods/shared/architectures.py (144 to 319), with TensorFlow's default weights
    yanndubs-*     disentangling-vae (Dubois et al.), dSprites: hyperparam.ini (10, 22, 31, 51 to 54, 74 to 89, 98, 110,
                   124, 133); disvae/utils/initialization.py (56 to 61). What is ramped: disvae/models/losses.py (148,
                   270, 379). FactorVAE gets twice the batch, of which each step takes half, and twice the epochs
                   (main.py 190 to 194): the same batch and steps
    higgins-*      Higgins et al. 2017, which has no released code. Of the paper, as others quote it: the network for
                   dSprites (disentanglement_lib, architectures.py 116 to 120), beta 4 (disentangling-vae,
                   hyperparam.ini 97 to 98). Our defaults: Adam (the paper has Adagrad) and its rate, batch, steps and
                   initial weights
    burgess-*      Burgess et al. 2018, which has no released code. Of the paper, as others quote it: the network
                   (disentangling-vae, disvae/models/encoders.py 30 to 38), C to 25 nats (hyperparam.ini 109 to 110),
                   gamma 1000, and 100,000 steps until then (disentanglement_lib, sweep.py 63 to 65), rate 5e-4
                   (ControlVAE, run_dsprites_B_gamma100_z10_c15.sh 3). Our defaults: batch, steps and initial weights
    konny-*        1Konny's FactorVAE: scripts/run_dsprites_gamma6p4.sh and run_celeba.sh (3 to 10); model.py (11 to 70,
                   101 to 132); normal_init (234 to 238) names linear layers and convolutions only
    chen-*         Chen et al. 2018, github.com/rtqichen/beta-tcvae: the command of README.md (10) with the defaults of
                   vae_quant.py (368 to 370, 377), its network (22 to 62) with torch's weights
    shao-*         Shao et al. 2020, github.com/shj1987/ControlVAE-ICML2020: Disentangling/run_dsprites_pid_c18.sh (4 to
                   7); solver_light.py (177 to 201); model.py (25 to 59, 148 to 152)
    estermann-*    Estermann and Wattenhofer 2023, github.com/besterma/dava: the command of README.md (14 to 18);
                   dava/models.py (59 to 90, 148 to 176) with torch's weights
    topdis-*       Balabin et al. 2024 (github.com/nikitabalabin/TopDis, commit 2ca9d2e): the trainings with released
                   scripts, with the TopDis loss as released, and their baselines without it.
                   beta-TCVAE: BetaTCVAE_TopDis/run_dsprites_rtd5.sh; no learning rate and no --mss, so vae_quant.py's
                   1e-3 (line 596) and weighted sampling (603); same batch, no orthogonalization (700 to 703).
                   ControlVAE: ControlVAE_TopDis/run_dsprites_pid_c18_L_rtd5.sh; Kaiming weights (model.py 220); same
                   batch, no orthogonalization (solver_light.py 237 to 240).
                   FactorVAE: FactorVAE_TopDis/run_mpi3d_complex.sh; second batch (solver.py 179), --orthogonalize;
                   six hidden layers in the discriminator (model.py 14 to 26).
                   All: every row whose shifted probability is within (0, 1) (rtd_regularizer.py 45 to 47); after
                   100,000 steps, which the first two count from 1 and include (vae_quant.py 701, solver_light.py 238)

Not reproduced:

    all         the order of the data (shuffled epochs; here images are drawn with replacement), and the random numbers
    beta-TCVAE  chen-*, yanndubs-* and topdis-* estimate KL from the sampled codes (vae_quant.py 211 to 252, and TopDis'
                409 to 451; losses.py 369 to 381); here it is the closed form. yanndubs-* has the stratified weights
                with 1/N in column 0 (disvae/utils/math.py 69 to 72). The TopDis loss of topdis-* reads log sigma as
                log sigma^2 (vae_quant.py 383 to 390, lib/dist.py 46 to 48): its codes have a deviation of sqrt(sigma)
    FactorVAE   yanndubs-*: the encoder also receives the gradient of the discriminator's own loss, as the codes are not
                detached (losses.py 261, 295, 304, 307); the permuted codes are drawn before the encoder's step.
                locatello-*: both optimizers advance the step counter (methods/unsupervised/vae.py 255 to 262), so that
                the study's 300,000 steps are 150,000 of each network
    ControlVAE  C rises one step later here, as solver_light.py counts steps from 1 (187, 196) and train-vae from 0; so
                does the annealed C of yanndubs-*
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS"]

_STUDY = {
    "network": "locatello",
    "initial_weights": "glorot-uniform",
    "steps": 300_000,
    "batch_size": 64,
    "learning_rate": 1e-4,
}
_DUBOIS = {
    "data": "dsprites",
    "network": "burgess",
    "initial_weights": "kaiming-uniform",
    "learning_rate": 5e-4,
    "ramp_steps": 10_000,
    "steps": 345_600,
}
_KONNY = {
    "method": "factor-vae",
    "network": "narrow",
    "initial_weights": "normal-partial",
    "learning_rate": 1e-4,
    "discriminator_layers": 5,
    "discriminator_weights": "normal",
}
_TOPDIS = {"learning_rate": 1e-4, "batch_size": 64, "steps": 1_000_000}
_RELEASED = {"topdis": 5.0, "topdis_delay": 99_999, "topdis_as": "released"}
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
_TOPDIS_FACTOR = {**_TOPDIS, **_KONNY, "data": "mpi3d-complex", "gamma": 5.0, "discriminator_layers": 6}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "locatello-beta-vae": {**_STUDY, "method": "beta-vae", "beta": 4.0},
    "locatello-annealed-vae": {**_STUDY, "method": "annealed-vae", "gamma": 1000.0, "capacity": 25.0},
    "locatello-factor-vae": {
        **_STUDY,
        "method": "factor-vae",
        "gamma": 30.0,
        "permute": "same",
        "discriminator_layers": 6,
        "discriminator_weights": "glorot-uniform",
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
    "yanndubs-factor-vae": {
        **_DUBOIS,
        "method": "factor-vae",
        "gamma": 6.4,
        "discriminator_weights": "kaiming-uniform",
        "learning_rate": 1e-4,
        "ramp": "tc",
    },
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
        "initial_weights": "torch",
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
    "topdis-beta-tcvae": {**_TOPDIS_TC, **_RELEASED},
    "topdis-beta-tcvae-without": _TOPDIS_TC,
    "topdis-control-vae": {**_TOPDIS_CONTROL, **_RELEASED},
    "topdis-control-vae-without": _TOPDIS_CONTROL,
    "topdis-factor-vae": {
        **_TOPDIS_FACTOR,
        "topdis": 6.0,
        "topdis_delay": 100_000,
        "topdis_loss": "rtd-released",
        "topdis_margin": 0.0,
    },
    "topdis-factor-vae-without": _TOPDIS_FACTOR,
}
"""Preset -> options of `train-vae` by their names in the code."""
