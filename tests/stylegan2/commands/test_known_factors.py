from pathlib import Path

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2 import Generator, save
from stylegan2.factor_labels import factor_network_for, makes_scenes
from stylegan2.loading import ASSETS, locate

SCENES = {"data": "scenes of continuous factors (vae.data.scenes)"}


def small(path: Path, side: int, source: dict[str, str]) -> Path:
    generator = Generator(z_dim=4, w_dim=4, img_resolution=side, num_mapping_layers=1, channel_base=64)
    return save(generator.eval(), path, source=source)


def test_the_packaged_generator_makes_scenes() -> None:
    assert makes_scenes(locate("scenes"))
    assert factor_network_for(locate("scenes"), given=None, wanted=None) == ASSETS / "scenes_factors.safetensors"


@pytest.mark.parametrize(("side", "source", "known"), [(32, SCENES, True), (64, SCENES, False), (32, {}, False)])
def test_a_generator_of_ours_is_known_by_its_data_and_side(
    tmp_path: Path, side: int, source: dict[str, str], known: bool
) -> None:
    assert makes_scenes(small(tmp_path / "g.safetensors", side, source)) is known


@pytest.mark.parametrize("name", ["broken.safetensors", "weights.pkl"])
def test_any_other_file_has_no_known_factors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save({"x": torch.zeros(2)}, path)
    assert not makes_scenes(path)
    assert factor_network_for(path, given=None, wanted=None) is None
    assert factor_network_for(path, given=Path("mine"), wanted=None) == Path("mine")


def test_truth_that_is_not_known_says_what_would_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`factor_network`"):
        factor_network_for(tmp_path / "other.pkl", given=None, wanted=True)
    with pytest.raises(InvalidArgumentError, match="leave one of them out"):
        factor_network_for(tmp_path / "other.pkl", given=Path("mine"), wanted=False)
