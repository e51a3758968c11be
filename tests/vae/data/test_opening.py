import dataclasses
import re

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import random_images, small_info, write_npz
from vae.data import names, open_data
from vae.data.array_dataset import ArrayStore
from vae.data.catalog import CATALOG
from vae.data.opening import open_set
from vae.data.source_files import DataFileError

NUM_DIGITS = {"sha256": 64, "md5": 32, "git_sha1": 40}


@pytest.mark.parametrize(
    ("name", "num_images", "sizes"),
    [
        ("dsprites", 737_280, (3, 6, 40, 32, 32)),
        ("dsprites-npz", 737_280, (3, 6, 40, 32, 32)),
        ("scenes", 480_000, (10, 10, 10, 8, 4, 15)),
        ("3dshapes", 480_000, (10, 10, 10, 8, 4, 15)),
        ("mpi3d-real", 1_036_800, (6, 6, 2, 3, 3, 40, 40)),
        ("mpi3d-complex", 460_800, (4, 4, 2, 3, 3, 40, 40)),
        ("3dfaces", 127_050, (50, 21, 11, 11)),
        ("celeba", 202_599, ()),
        ("cars3d", 17_568, (4, 24, 183)),
        ("smallnorb", 48_600, (5, 9, 18, 6)),
    ],
)
def test_sets_have_their_published_sizes(name, num_images, sizes):
    assert CATALOG[name].num_images == num_images
    assert tuple(factor.size for factor in CATALOG[name].factors) == sizes


def test_dsprites_takes_378_megabytes_as_bits():
    assert CATALOG["dsprites-cached"].num_array_bytes == 737_280 * 512


@pytest.mark.parametrize("info", CATALOG.values(), ids=list(CATALOG))
def test_every_row_says_where_its_files_come_from_and_its_sums_are_whole(info):
    assert info.license
    assert info.source
    for file in info.files:
        assert file.url or info.instructions
        assert file.url is None or (file.url.startswith("https://") and file.url.endswith(file.name))
        for algorithm, num_digits in NUM_DIGITS.items():
            known = getattr(file, algorithm)
            assert known is None or re.fullmatch(f"[0-9a-f]{{{num_digits}}}", known)


def test_every_set_of_the_catalog_is_opened_or_says_how_to_get_it(tmp_path):
    for name in names():
        if CATALOG[name].files:
            with pytest.raises(DataFileError, match=f"^{name} is not on this machine: "):
                open_data(name)
        elif not name.endswith("-cached"):
            assert len(open_data(name)) == CATALOG[name].num_images


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dsprite", "'dsprite' is unknown; did you mean dsprites"),
        ("dsprites:posX", "'posX' in 'dsprites:posX' is not a variation"),
        ("dsprites:posX=two", "'posX=two' .* is not a variation"),
        ("dsprites:posX~posY=strong", "is not a variation"),
        ("dsprites:", None),
        ("dsprites:posX=8,,", "'' in .* is not a variation"),
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
    info = dataclasses.replace(info, files=(dataclasses.replace(info.files[0], md5="0" * 32, pinned=True),))
    write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(info))
    with pytest.raises(DataFileError, match=r"has the md5 .*fetch it again, or pass verify=False"):
        open_set(info, root=tmp_path, store=ArrayStore())
    assert len(open_set(info, root=tmp_path, store=ArrayStore(), verify=False)) == 144


def test_a_file_for_a_drawn_set_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="dsprites is procedural and reads no file"):
        open_data("dsprites", root=tmp_path)
