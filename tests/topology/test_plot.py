import pytest
import torch
from PIL import Image

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.topology import cloud_barcodes, plot_bars, rtd

pytest.importorskip("matplotlib")


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(20, 2, generator=generator), torch.randn(20, 3, generator=generator)


def test_the_two_barcodes_are_the_two_directions_of_rtd():
    x, y = clouds()
    one, two = cloud_barcodes(x, y)
    assert (one.lengths.sum() + two.lengths.sum()) / 2 == pytest.approx(float(rtd(x, y)), rel=1e-5)


def test_a_picture_of_the_bars_is_written(tmp_path):
    path = plot_bars(*clouds(), tmp_path / "bars.png")
    with Image.open(path) as picture:
        assert picture.size == (1350, 600)
        assert len(picture.convert("L").histogram()) - picture.convert("L").histogram().count(0) > 10


def test_identical_clouds_draw_an_empty_picture(tmp_path):
    x, _ = clouds()
    assert plot_bars(x, x, tmp_path / "bars.png").exists()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RunFolderError):
        plot_bars(*clouds(), tmp_path / "missing" / "bars.png")
