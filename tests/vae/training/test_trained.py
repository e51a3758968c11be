import pytest
import torch

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.folder import RunFolder
from vae.training import TrainSettings, load_trained, train

SETTINGS = TrainSettings(network="locatello", width=0.1, batch_size=8, num_latents=3, steps=2)


def test_the_model_comes_back_ready_for_evaluation(tiny, tmp_path):
    trained = load_trained(train(SETTINGS, tmp_path / "run", data=tiny))
    assert trained.settings == SETTINGS
    assert trained.step == 2
    assert not trained.model.training
    assert not any(parameter.requires_grad for parameter in trained.model.parameters())
    assert trained.model(torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_a_run_of_another_command_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", {}, command="discover"):
        pass
    with pytest.raises(RunFolderError, match="a run of `discover`"):
        load_trained(tmp_path / "run")


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", SETTINGS.as_config(), command="train-vae"):
        pass
    with pytest.raises(RunFolderError, match="no checkpoint yet"):
        load_trained(tmp_path / "run")


def test_a_configuration_that_is_not_ours_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", {**SETTINGS.as_config(), "method": "nvae"}, command="train-vae"):
        pass
    with pytest.raises(RunFolderError, match="nvae"):
        load_trained(tmp_path / "run")
