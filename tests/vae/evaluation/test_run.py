import json
from pathlib import Path

import pytest

from ganspace_topdis.errors import RunFolderError
from vae.evaluation import run as evaluation_run
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.run import evaluate, read_evaluation
from vae.settings import ExecutionOptions, TrainSettings
from vae.training.run import train

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


def test_the_same_evaluation_is_given_back_and_another_is_made(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluate(trained, QUICK, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(evaluation_run, "measure", None)
        assert evaluate(trained, QUICK, device="cpu") == first
    again = evaluate(trained, EvaluationSettings(metrics=("mig",), num_reconstructed=20), device="cpu", pictures=False)
    assert "mutual_information" not in again["scores"]
    assert again["scores"]["mig"] == first["scores"]["mig"]


def test_a_folder_without_a_run_is_refused_and_nothing_is_read_from_it(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run folder"):
        evaluate(tmp_path, QUICK)
    assert read_evaluation(tmp_path) is None


def test_a_damaged_evaluation_reads_as_none(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"scores": {}}')
    assert read_evaluation(tmp_path) is None
    (tmp_path / "evaluation.json").write_text("{")
    assert read_evaluation(tmp_path) is None
