import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import jpeg, small_info, write_celeba
from vae.data.errors import DataFileError
from vae.data.opening import open_set

SQUASH, CROP = (small_info(name, num_listed=4) for name in ("celeba", "celeba-crop"))
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (120, 120, 120)]


@pytest.fixture
def path(tmp_path):
    return write_celeba(tmp_path / "img_align_celeba.zip", [jpeg(colour=colour) for colour in COLOURS])


@pytest.mark.parametrize("info", [SQUASH, CROP])
def test_pictures_come_in_the_order_of_their_names(path, store, info):
    data = open_set(info, root=path, store=store)
    assert len(data) == 4
    assert data.images([0, 1, 2, 3]).shape == (4, 64, 64, 3)
    assert np.abs(data.images([3, 1])[:, 30, 30].astype(int) - [COLOURS[3], COLOURS[1]]).max() <= 4


def test_the_squash_keeps_the_edges_and_the_crop_leaves_them_out(tmp_path, memory):
    picture = Image.new("RGB", (178, 218), (0, 0, 0))
    ImageDraw.Draw(picture).rectangle((15, 35, 162, 182), fill=(255, 255, 255))
    picture.save(tmp_path / "a.jpg", quality=100)
    path = write_celeba(tmp_path / "a.zip", [(tmp_path / "a.jpg").read_bytes()] * 4)
    squashed, cropped = (open_set(info, root=path, store=memory).images([0])[0] for info in (SQUASH, CROP))
    assert cropped.min() > 200
    assert squashed[0].max() < 50
    assert squashed[32, 32].min() > 200


def test_there_are_no_factors(path, memory):
    data = open_set(SQUASH, root=path, store=memory)
    assert data.factors == ()
    with pytest.raises(InvalidArgumentError, match="celeba has no known factors"):
        data.codes([0])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (jpeg(size=(64, 64)), r"RGB of \(64, 64\) pixels, expected is RGB of \(178, 218\)"),
        (b"no picture", "000001.jpg is damaged"),
        (jpeg()[:500], "000001.jpg is damaged"),
    ],
)
def test_a_picture_of_another_kind_is_refused(tmp_path, memory, picture, message):
    path = write_celeba(tmp_path / "a.zip", [picture] * 4)
    with pytest.raises(DataFileError, match=message):
        open_set(SQUASH, root=path, store=memory).images([0])


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path, memory):
    path = write_celeba(tmp_path / "a.zip", [jpeg()] * 4)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("img_align_celeba/000005.jpg", bytes(50_000_000))
    with pytest.raises(DataFileError, match="would unpack to 50,000,000 bytes"):
        open_set(SQUASH, root=path, store=memory)


def test_other_archives_are_refused(tmp_path, memory):
    with pytest.raises(DataFileError, match=r"has no img_align_celeba/000004\.jpg"):
        open_set(SQUASH, root=write_celeba(tmp_path / "a.zip", [jpeg()] * 3), store=memory)
    (tmp_path / "b.zip").write_bytes(b"nothing")
    with pytest.raises(DataFileError, match="is no zip archive"):
        open_set(SQUASH, root=tmp_path / "b.zip", store=memory)
