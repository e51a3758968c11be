"""Files with another checksum and the published images are accepted with a notice; others are refused."""

import dataclasses

import numpy as np
import pytest

from tests.vae.data.published import random_images, small_info, write_dsprites_npz
from vae.data import DataFileError, open_data
from vae.data.array_dataset import ArrayStore
from vae.data.dataset import DataSet
from vae.data.opening import content_error, has_known_pixels, open_set

KNOWN = {"dsprites-npz": "dsprites", "dsprites-hdf5": "dsprites", "3dshapes": "scenes"}


class Changed(DataSet):
    """The images of `data`, each read at another index, or changed afterwards."""

    def __init__(self, data, *, shift=0, change=lambda images: images):
        super().__init__(
            name="changed",
            factors=data.factors,
            image_shape=data.image_shape,
            num_images=len(data),
            fingerprint="changed",
        )
        self.data, self.shift, self.change = data, shift, change

    def _read(self, indices):
        return self.change(self.data.images((indices + self.shift) % len(self.data)))


@pytest.mark.parametrize(("name", "drawn"), KNOWN.items())
def test_the_images_of_the_set_pass_and_those_in_another_order_do_not(name, drawn):
    data = open_data(drawn)
    assert has_known_pixels(name)
    assert content_error(name, Changed(data)) is None
    assert "sampled images" in (content_error(name, Changed(data, shift=len(data) // 2 + 7)) or "")


def test_a_few_wrong_pixels_are_dsprites_and_gray_or_many_are_not():
    def wrong(num_pixels, value):
        def change(images):
            images[::4, 0, :num_pixels] = value
            return images

        return content_error("dsprites-npz", Changed(open_data("dsprites"), change=change))

    assert wrong(2, 255) is None
    assert "by up to" in (wrong(40, 255) or "")
    assert "black and white" in (wrong(2, 128) or "")


def test_another_sky_is_not_3d_shapes():
    data = Changed(open_data("scenes"), change=lambda images: 255 - images)
    assert "another sky" in (content_error("3dshapes", data) or "")


@pytest.fixture
def repacked(tmp_path, monkeypatch):
    """A small file of dSprites that is not the published one, and its description."""
    info = small_info("dsprites-npz", (3, 2, 2, 3, 2))
    file = dataclasses.replace(info.files[0], git_sha1="0" * 40)
    info = dataclasses.replace(info, files=(file,))
    write_dsprites_npz(tmp_path / file.name, info, random_images(info))
    return info, tmp_path, monkeypatch


def test_a_repacked_file_is_read_with_a_notice_once_its_content_was_compared(repacked):
    info, root, monkeypatch = repacked
    monkeypatch.setattr("vae.data.opening.content_error", lambda name, data: None)
    with pytest.warns(UserWarning, match="not the published file byte by byte, but a sample of its images"):
        data = open_set(info, store=ArrayStore(), root=root)
    assert len(data) == info.num_images


def test_a_file_with_other_content_is_refused_with_both_reasons(repacked):
    info, root, monkeypatch = repacked
    monkeypatch.setattr("vae.data.opening.content_error", lambda name, data: "its images differ")
    with pytest.raises(DataFileError, match=r"git_sha1 .*its images differ"):
        open_set(info, store=ArrayStore(), root=root)


def test_a_set_without_known_pixels_is_refused_unless_it_is_not_verified(repacked):
    info, root, monkeypatch = repacked
    monkeypatch.setattr("vae.data.opening.has_known_pixels", lambda name: False)
    with pytest.raises(DataFileError, match="git_sha1"):
        open_set(info, store=ArrayStore(), root=root)
    assert len(open_set(info, store=ArrayStore(), root=root, verify=False)) == info.num_images


def test_every_image_of_the_look_alike_has_sky_in_its_top_row():
    data = open_data("scenes")
    geometries = np.arange(8 * 4 * 15)
    assert (data.images(geometries)[:, 0] == (153, 226, 249)).all()
