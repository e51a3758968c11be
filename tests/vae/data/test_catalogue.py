import re

import pytest

from vae.data.catalogue import CATALOGUE

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
    assert CATALOGUE[name].num_images == num_images
    assert tuple(factor.size for factor in CATALOGUE[name].factors) == sizes


def test_dsprites_takes_378_megabytes_as_bits():
    assert CATALOGUE["dsprites-cached"].num_array_bytes == 737_280 * 512


@pytest.mark.parametrize("info", CATALOGUE.values(), ids=list(CATALOGUE))
def test_every_row_says_where_its_files_come_from_and_its_sums_are_whole(info):
    assert info.licence
    assert info.source
    for file in info.files:
        assert file.url or info.by_hand
        assert file.url is None or (file.url.startswith("https://") and file.url.endswith(file.name))
        for algorithm, num_digits in NUM_DIGITS.items():
            known = getattr(file, algorithm)
            assert known is None or re.fullmatch(f"[0-9a-f]{{{num_digits}}}", known)
