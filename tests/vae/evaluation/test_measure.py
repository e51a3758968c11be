import math

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.evaluation.readers import Dots, reader
from vae.evaluation.measure import Measurement, measure
from vae.evaluation.metrics import METRICS, EvaluationSettings, groups_for


@pytest.fixture(scope="module")
def measured() -> Measurement:
    return measure(reader(), Dots(), EvaluationSettings(num_reconstructed=200), jobs=1)


def test_every_metric_of_the_default_groups_is_measured_and_finite(measured: Measurement) -> None:
    groups = groups_for(None, has_factors=True)
    assert set(measured.scores) == {metric.key for metric in METRICS if metric.group in groups}
    assert all(math.isfinite(score) for score in measured.scores.values())


def test_a_network_that_reads_one_factor_a_latent_scores_nearly_one(measured: Measurement) -> None:
    for name in ("factor_vae", "beta_vae", "mig", "dci_disentanglement", "sap_continuous"):
        assert measured.scores[name] > 0.9, name


def test_a_latent_that_says_nothing_is_counted_as_dead(measured: Measurement) -> None:
    assert measured.scores["live_latents"] == 3
    last = measured.latents[-1]
    assert (last.index, last.live, last.factor) == (3, False, None)


def test_each_latent_is_matched_to_the_factor_that_it_reads(measured: Measurement) -> None:
    assert {latent.index: latent.factor for latent in measured.latents if latent.live} == {
        0: "posX",
        1: "posY",
        2: "brightness",
    }


def test_the_divergence_is_the_sum_over_the_latents(measured: Measurement) -> None:
    assert measured.scores["kl"] == pytest.approx(sum(latent.kl for latent in measured.latents))


def test_a_thinned_grid_gives_nearly_the_same_scores_and_says_its_sizes(measured: Measurement) -> None:
    settings = EvaluationSettings(metrics=("factor-vae", "mig"), max_images=50)
    thinned = measure(reader(), Dots(), settings)
    assert (thinned.grid_sizes, measured.grid_sizes) == ((2, 5, 5), (2, 6, 6))
    assert thinned.scores["factor_vae"] == pytest.approx(measured.scores["factor_vae"], abs=0.02)
    assert thinned.scores["mig"] == pytest.approx(measured.scores["mig"], abs=0.02)


def test_the_same_seed_measures_the_same_numbers() -> None:
    settings = EvaluationSettings(metrics=("factor-vae", "mig"), num_reconstructed=50, seed=3)
    first, second = (measure(reader(), Dots(), settings).scores for _ in range(2))
    assert first == second


def test_a_set_without_factors_gets_what_needs_none() -> None:
    settings = EvaluationSettings(num_reconstructed=50)
    measured = measure(reader(), Dots(known=False), settings)
    assert "mig" not in measured.scores
    assert {"reconstruction", "kl", "gaussian_total_correlation"} < set(measured.scores)


def test_supervised_metrics_of_a_set_without_factors_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'mig' needs known factors"):
        measure(reader(), Dots(known=False), EvaluationSettings(metrics=("mig",)))
