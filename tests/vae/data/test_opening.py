import dataclasses

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import random_images, small_info, write_npz
from vae.data import names, open_data
from vae.data.array_store import ArrayStore
from vae.data.catalogue import CATALOGUE
from vae.data.errors import DataFileError
from vae.data.opening import open_set


def test_every_set_of_the_catalogue_is_opened_or_says_how_to_get_it(tmp_path):
    for name in names():
        if CATALOGUE[name].files:
            with pytest.raises(DataFileError, match=f"^{name} is not on this machine: "):
                open_data(name)
        elif not name.endswith("-cached"):
            assert len(open_data(name)) == CATALOGUE[name].num_images


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dsprite", "'dsprite' is unknown; the nearest are dsprites"),
        ("dsprites:posX", "'posX' in 'dsprites:posX' is no variation"),
        ("dsprites:posX=two", "'posX=two' .* is no variation"),
        ("dsprites:posX~posY=strong", "is no variation"),
        ("dsprites:", None),
        ("dsprites:posX=8,,", "'' in .* is no variation"),
    ],
)
def test_names_that_cannot_be_read_are_refused(name, message):
    if message is None:
        assert open_data(name).name == "dsprites"
        return
    with pytest.raises(InvalidArgumentError, match=message):
        open_data(name)


def test_a_file_of_another_sum_is_refused_unless_that_is_wanted(tmp_path):
    info = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
    info = dataclasses.replace(info, files=(dataclasses.replace(info.files[0], md5="0" * 32, firm=True),))
    write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(info))
    with pytest.raises(DataFileError, match=r"has the md5 .*fetch it again, or pass verify=False"):
        open_set(info, root=tmp_path, store=ArrayStore())
    assert len(open_set(info, root=tmp_path, store=ArrayStore(), verify=False)) == 144


def test_a_file_for_a_drawn_set_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="dsprites is drawn and read from no file"):
        open_data("dsprites", root=tmp_path)
