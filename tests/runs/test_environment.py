import json

import torch

from ganspace_topdis.runs.environment import describe_environment


def test_it_names_versions_and_device_and_is_json():
    environment = describe_environment("cpu")
    assert json.loads(json.dumps(environment)) == environment
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["num_threads"] == torch.get_num_threads()


def test_it_says_nothing_of_the_user_or_of_git():
    assert not {"user", "home", "git", "commit", "host"} & describe_environment().keys()
