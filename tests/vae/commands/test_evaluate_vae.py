import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganspace_topdis.errors import InvalidArgumentError
from vae.cli import evaluate_vae
from vae.commands.evaluate_vae import execute, to_text
from vae.settings import ExecutionOptions, TrainSettings
from vae.training.run import train

DATA = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = TrainSettings(data=DATA, network="fc", width=0.02, steps=6, batch_size=8, log_every=2)
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(settings, out, options=ExecutionOptions(device="cpu"))


def test_groups_are_separated_by_commas_and_the_text_lists_scores_and_files(trained: Path) -> None:
    options = {"run": trained, "metrics": "mig, unsupervised", "max_images": None, "num_reconstructed": 20, "seed": 0}
    options |= {"device": "cpu", "data_root": None, "verify": True, "jobs": 1, "pictures": False}
    text = to_text(execute(options), options)
    assert "MIG" in text
    assert str(trained / "evaluation.json") in text
    with pytest.raises(InvalidArgumentError, match="'nig' is unknown"):
        execute({**options, "metrics": "nig"})


def test_the_command_prints_the_evaluation_as_json(trained: Path) -> None:
    arguments = ["--metrics", "mig", "--num-reconstructed", "20", "--no-pictures", "--device", "cpu", "--json"]
    result = CliRunner().invoke(evaluate_vae, [str(trained), *arguments])
    assert json.loads(result.stdout) == json.loads((trained / "evaluation.json").read_text())
    assert "device" in CliRunner().invoke(evaluate_vae, [str(trained), "--dry-run"]).stdout
