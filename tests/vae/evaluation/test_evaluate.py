"""Encoding, samples, scores, and an evaluation in its run folder."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from tests.vae.evaluation.readers import FACTORS, SIDE_PX, Dots, reader
from vae.commands.evaluate_vae import Options, to_text
from vae.data.dataset import DataSet, Images, Integers
from vae.encoding import (
    Encoded,
    encode,
    encode_grid,
    grid_sizes,
    kl_of_latents,
    reconstruction_errors,
    to_tensor,
)
from vae.evaluation import run as evaluation_run
from vae.evaluation.metrics import GROUPS, EvaluationSettings, groups_for
from vae.evaluation.run import Measurement, draw_samples, evaluate, measure, read_evaluation
from vae.evaluation.scores import LIVE_KL, LIVE_STD, describe_latents
from vae.networks.autoencoder import AutoEncoder
from vae.settings import ExecutionOptions, TrainSettings
from vae.training.run import train


def test_the_grid_has_one_row_a_combination_with_the_last_factor_fastest() -> None:
    grid = encode_grid(reader(), Dots())
    assert grid.sizes == (2, 6, 6)
    assert grid.codes[:7, 2].tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert np.array_equal(grid.means, encode(reader(), Dots(), np.arange(72))[0])


def test_a_thinned_grid_is_a_grid_of_the_same_images() -> None:
    whole, thin = encode_grid(reader(), Dots()), encode_grid(reader(), Dots(), max_images=20)
    assert thin.sizes == (2, 3, 3)
    assert thin.codes[:, 1].max() == 4
    rows = Dots().indices(thin.codes)
    assert np.allclose(thin.means, whole.means[rows])


def test_thinning_stops_at_two_values_a_factor() -> None:
    assert grid_sizes((3, 9), 1) == (2, 2)


def test_codes_do_not_depend_on_the_batch_they_are_encoded_in() -> None:
    indices = np.arange(600) % 72
    means, _ = encode(reader(), Dots(), indices)
    assert np.array_equal(means[:72], means[72:144])
    assert np.array_equal(means[-1:], encode(reader(), Dots(), indices[-1:])[0])


def test_progress_ends_at_the_number_of_images() -> None:
    seen: list[tuple[int, int]] = []
    encode(reader(), Dots(), np.arange(300) % 72, progress=lambda step, num, **_: seen.append((step, num)))
    assert seen == [(256, 300), (300, 300)]


def test_the_divergence_of_the_prior_from_itself_is_zero_and_of_a_shift_half_its_square() -> None:
    means = np.tile(np.array([[0.0, 2.0, 0.0]], np.float32), (5, 1))
    logvars = np.tile(np.array([[0.0, 0.0, 2.0]], np.float32), (5, 1))
    encoded = Encoded(means=means, logvars=logvars, codes=np.zeros((5, 0), np.int64))
    gaussian = torch.distributions.kl_divergence(
        torch.distributions.Normal(0.0, float(np.e)), torch.distributions.Normal(0.0, 1.0)
    )
    assert np.allclose(kl_of_latents(encoded), [0, 2, gaussian.item()])


def test_bytes_become_the_unit_interval_with_channels_first() -> None:
    images = np.array([[[[0, 51, 255]]]], np.uint8)
    assert torch.equal(to_tensor(images), torch.tensor([0.0, 0.2, 1.0]).reshape(1, 3, 1, 1))


class Constant(nn.Module):
    """Draws the same gray everywhere."""

    def __init__(self, shape: tuple[int, ...], value: float) -> None:
        super().__init__()
        self.shape, self.value = shape, nn.Parameter(torch.tensor(value))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.value.expand(len(inputs), *self.shape)


def test_an_even_gray_costs_log_two_nats_a_pixel() -> None:
    model = AutoEncoder(
        Constant((4,), 0.0), Constant((1, SIDE_PX, SIDE_PX), 0.0), num_latents=2, image_shape=(SIDE_PX, SIDE_PX, 1)
    )
    errors = reconstruction_errors(model, Dots(), np.arange(72))
    assert errors["reconstruction"] == pytest.approx(SIDE_PX**2 * math.log(2), rel=1e-5)
    white, gray, dark = (0.25, (128 / 255 - 0.5) ** 2, 0.25)
    lit = 16 / SIDE_PX**2
    assert errors["squared_error"] == pytest.approx(lit * (white + gray) / 2 + (1 - lit) * dark, rel=1e-4)


def encoded() -> Encoded:
    """Latent 0 is half of factor 0's value, latent 1 constant, latent 2 noise of its own."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=(4000, 2))
    means = np.stack([codes[:, 0] / 2, np.zeros(4000), 0.04 * rng.normal(size=4000)], axis=1).astype(np.float32)
    return Encoded(means=means, logvars=np.zeros_like(means), codes=codes)


def test_latents_come_in_order_of_falling_divergence() -> None:
    latents = describe_latents(encoded(), ["a", "b"])
    assert [latent.index for latent in latents] == [0, 2, 1]
    assert latents[-1].kl == 0


def test_a_latent_that_is_a_factor_tells_all_of_it_and_nothing_of_another() -> None:
    first = describe_latents(encoded(), ["a", "b"])[0]
    assert first.shares["a"] == pytest.approx(1.0)
    assert first.shares["b"] < 0.01
    assert first.factor == "a"


def test_a_latent_is_live_from_a_deviation_of_a_twentieth_on() -> None:
    assert {latent.index: latent.live for latent in describe_latents(encoded(), [])} == {0: True, 1: False, 2: False}


def test_a_latent_that_varies_without_a_tenth_of_a_nat_is_not_live() -> None:
    sample = encoded()
    sample.means[:, 1] = 0.3 * (sample.codes[:, 1] - 1.5)  # KL 0.056 nats
    sample.means[:, 2] = 0.6 * (sample.codes[:, 1] - 1.5)  # KL 0.225 nats
    latents = {latent.index: latent for latent in describe_latents(sample, [])}
    assert (latents[1].std > LIVE_STD, latents[1].kl < LIVE_KL, latents[1].live) == (True, True, False)
    assert latents[2].live


def test_without_factors_there_is_nothing_to_tell() -> None:
    latents = describe_latents(encoded(), [])
    assert all(latent.factor is None and latent.shares == {} for latent in latents)


def test_a_factor_of_one_value_has_no_share() -> None:
    constant = encoded()
    constant.codes[:, 1] = 0
    assert describe_latents(constant, ["a", "b"])[0].shares["b"] == 0


@pytest.fixture(scope="module")
def measured() -> Measurement:
    return measure(reader(), Dots(), EvaluationSettings(num_reconstructed=200), jobs=1)


def test_every_metric_of_the_default_groups_is_measured_and_finite(measured: Measurement) -> None:
    groups = groups_for(None, has_factors=True)
    assert set(measured.scores) == {key for group in GROUPS if group.name in groups for key in group.keys}
    assert all(math.isfinite(score) for score in measured.scores.values())


def test_the_metrics_of_2023_and_later_are_measured_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_run, "NUM_TRAIN", 600)
    monkeypatch.setattr(evaluation_run, "NUM_TEST", 300)
    groups = ("infomec", "edi", "dci-es", "snc-nk", "mcc", "iwo")
    scores = measure(reader(), Dots(), EvaluationSettings(metrics=groups, num_reconstructed=50), jobs=1).scores
    assert set(scores) == {key for group in GROUPS if group.name in (*groups, "reconstruction") for key in group.keys}
    assert all(math.isfinite(score) for score in scores.values())
    assert min(scores["infomec_modularity"], scores["mcc_pearson"], scores["edi_modularity"]) > 0.9


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


DATA = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
QUICK = EvaluationSettings(metrics=("mig", "unsupervised"), num_reconstructed=20)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = TrainSettings(data=DATA, network="fc", width=0.02, steps=6, batch_size=8, log_every=2)
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(settings, out, options=ExecutionOptions(device="cpu"))


def test_an_evaluation_leaves_scores_a_page_and_pictures_in_the_run_folder(trained: Path) -> None:
    evaluation = evaluate(trained, QUICK, device="cpu")
    assert json.loads((trained / "evaluation.json").read_text()) == evaluation
    assert evaluation["request"]["step"] == 6
    assert evaluation["grid_sizes"] == [2, 2, 2, 4, 4]
    assert evaluation["whole_grid"]
    assert {"mig", "kl", "reconstruction"} < set(evaluation["scores"])
    assert all((trained / name).is_file() for name in evaluation["files"])
    page = (trained / "report.html").read_text()
    assert "beta-vae on dsprites" in page
    assert "<svg" in page


def test_scores_latents_page_and_command_agree_on_the_live_latents(trained: Path) -> None:
    evaluation = evaluate(trained, QUICK, device="cpu")
    live = [latent["index"] for latent in evaluation["latents"] if latent["live"]]
    assert evaluation["scores"]["live_latents"] == len(live)
    page, text = (trained / "report.html").read_text(), to_text(evaluation, Options(run=trained))
    assert f"{len(live)} of {len(evaluation['latents'])} latents are live" in page
    assert [int(line.split()[1]) for line in text.splitlines() if line.startswith("latent ")] == live


def test_the_same_evaluation_is_given_back_and_another_is_made(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(trained, QUICK, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(evaluation_run, "measure", None)
        assert evaluate(trained, QUICK, device="cpu") == first
    again = evaluate(trained, EvaluationSettings(metrics=("mig",), num_reconstructed=20), device="cpu", pictures=False)
    assert "mutual_information" not in again["scores"]
    assert not (trained / "report.html").exists()  # it showed other scores
    assert again["scores"]["mig"] == first["scores"]["mig"]


def test_pictures_that_are_gone_are_drawn_again(trained: Path) -> None:
    first = evaluate(trained, QUICK, device="cpu")
    (trained / "report.html").unlink()
    assert evaluate(trained, QUICK, device="cpu")["scores"] == first["scores"]
    assert (trained / "report.html").is_file()


def test_a_run_is_scored_on_the_images_of_its_training_only(tmp_path: Path) -> None:
    settings = TrainSettings(data="dsprites", network="fc", width=0.02, steps=2, batch_size=8)
    run = train(settings, tmp_path / "run", options=ExecutionOptions(device="cpu"), data=Dots())
    with pytest.raises(InvalidArgumentError, match=r"other images than those of dsprites here; .*`data_root`"):
        evaluate(run, QUICK, device="cpu")
    scored = evaluate(run, QUICK, device="cpu", pictures=False, data=Dots())
    assert scored["grid_sizes"] == [2, 6, 6]


def test_pictures_of_an_earlier_evaluation_go_and_what_it_did_not_write_stays(tmp_path: Path) -> None:
    settings = TrainSettings(data=DATA, network="fc", width=0.02, steps=2, batch_size=8)
    run = train(settings, tmp_path / "run", options=ExecutionOptions(device="cpu"))
    first = evaluate(run, QUICK, device="cpu")
    old = run / "traversals" / "direction_98.png"
    mine = run / "traversals" / "direction_99.png"
    outside = tmp_path / "outside.png"
    for file in (old, mine, outside):
        file.write_bytes(b"")
    files = [*first["files"], "traversals/direction_98.png", "../outside.png"]
    (run / "evaluation.json").write_text(json.dumps({**first, "files": files}))
    again = evaluate(run, EvaluationSettings(metrics=("mig",), num_reconstructed=20), device="cpu")
    assert (old.exists(), mine.exists(), outside.exists()) == (False, True, True)
    assert all((run / name).is_file() for name in again["files"])


def test_a_folder_without_a_run_is_refused_and_nothing_is_read_from_it(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run folder"):
        evaluate(tmp_path, QUICK)
    assert read_evaluation(tmp_path) is None


def test_a_damaged_evaluation_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"scores": {}}')
    assert read_evaluation(tmp_path) is None
    (tmp_path / "evaluation.json").write_text("{")
    assert read_evaluation(tmp_path) is None


class Twins(Dots):
    """Every second image of a combination is white."""

    def __init__(self) -> None:
        DataSet.__init__(self, name="twins", factors=FACTORS, image_shape=(16, 16, 1), num_images=144, fingerprint="")

    def _read(self, indices: Integers) -> Images:
        return np.maximum(super()._read(indices // 2), 255 * (indices[:, None, None, None] % 2)).astype(np.uint8)


def test_samples_have_every_image_of_a_combination_not_the_first_alone() -> None:
    data = Twins()
    drawn = draw_samples(reader(), data, EvaluationSettings(), np.random.default_rng(0))
    white = encode(reader(), data, np.array([1]))[0][0]
    share = float((drawn.train.means == white).all(axis=1).mean())
    assert share == pytest.approx(0.5, abs=0.03)
    assert drawn.grid is not None
    assert drawn.grid.sizes == data.factor_sizes
