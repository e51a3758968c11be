"""Files without the published checksum: read with a notice if their content is right, refused if it is not.

The files are written here in the published formats: dSprites as its geometry draws it, 3D Shapes as the look-alike, the
others as made-up images. Reduced sets have the first values of each factor.
"""

import dataclasses
import zipfile

import numpy as np
import pytest

from tests.vae.data.published import (
    grid_codes,
    plausible_images,
    portrait,
    random_images,
    shapes3d_labels,
    small_info,
    write_cars,
    write_celeba,
    write_dsprites_hdf5,
    write_dsprites_npz,
    write_faces,
    write_npz,
    write_shapes3d,
    write_smallnorb,
)
from vae.data import DataFileError, open_data, scenes
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import CATALOG
from vae.data.content import CHECKED_SETS, content_error
from vae.data.dsprites import FACTORS, draw, draw_bits
from vae.data.opening import open_set

SPRITE_SIZES, SHAPE_SIZES = (3, 2, 4, 3, 2), (10, 3, 2, 1, 4, 2)
NUM_PORTRAITS = 12


def repacked(name, sizes=(), **changes):
    """The catalog's entry with smaller factors and the published checksums, which no file of the tests has."""
    info = small_info(name, sizes, **changes)
    files = tuple(dataclasses.replace(file, num_bytes=None) for file in CATALOG[name].files)
    return dataclasses.replace(info, files=files)


def accept(info, path):
    """Open a file that is to be accepted, and return the data set and the notice."""
    with pytest.warns(UserWarning, match="read nevertheless: the number of images is right") as notices:
        data = open_set(info, root=path, store=ArrayStore())
    (notice,) = notices
    return data, str(notice.message)


def refuse(info, path, message):
    with pytest.raises(DataFileError, match=message) as refused:
        open_set(info, root=path, store=ArrayStore())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_content_of_every_set_that_is_read_from_files_is_checked():
    assert set(CHECKED_SETS) == {name for name, info in CATALOG.items() if info.files}


SPRITES = {"dsprites-npz": write_dsprites_npz, "dsprites-hdf5": write_dsprites_hdf5}


def drawn_sprites(info):
    return draw(grid_codes(info))[..., None]


@pytest.mark.parametrize(("name", "write"), SPRITES.items())
def test_repacked_dsprites_are_read_with_a_notice(tmp_path, name, write):
    info = repacked(name, SPRITE_SIZES)
    images = drawn_sprites(info)
    images[::4, 0, :2] = 1  # as the published images may differ from the drawn ones
    data, notice = accept(info, write(tmp_path / "a.npz", info, images))
    assert np.array_equal(data.images(np.arange(len(data))), 255 * images)
    assert "the published dsprites_ndarray" in notice
    assert "sampled images are those that dSprites' geometry gives" in notice


@pytest.mark.parametrize(("name", "write"), SPRITES.items())
@pytest.mark.parametrize("change", ["order of factors", "mirrored", "noise"])
def test_other_sprites_are_refused_with_both_reasons(tmp_path, name, write, change):
    info = repacked(name, SPRITE_SIZES)
    images = drawn_sprites(info)
    if change == "order of factors":
        images = images.reshape(*SPRITE_SIZES, 64, 64, 1).swapaxes(3, 4).reshape(images.shape)
    elif change == "mirrored":
        images = images[:, :, ::-1]
    else:
        images = random_images(info)
    message = refuse(info, write(tmp_path / "a.npz", info, images), "sampled images differ from dSprites, by up to")
    assert ("sha256" if name == "dsprites-hdf5" else "git_sha1") in message
    assert message.endswith("with --no-verify (in Python verify=False)")


@pytest.mark.parametrize(("name", "write"), SPRITES.items())
def test_a_reduced_dsprites_is_not_the_set(tmp_path, name, write):
    path = write(tmp_path / "a.npz", repacked(name, SPRITE_SIZES), drawn_sprites(repacked(name, SPRITE_SIZES)))
    info = dataclasses.replace(repacked(name, SPRITE_SIZES), factors=CATALOG[name].factors)
    refuse(info, path, r"has 144 images, dsprites-\w+ has 737,280")


@pytest.mark.slow  # 3 GB of pixels are compressed and read
def test_the_whole_dsprites_packed_again_is_read_with_a_notice(tmp_path):
    path, num_images = tmp_path / "dsprites.npz", CATALOG["dsprites-npz"].num_images
    codes = np.stack(np.unravel_index(np.arange(num_images), [factor.size for factor in FACTORS]), axis=1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("imgs.npy", "w", force_zip64=True) as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (num_images, 64, 64)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in np.array_split(codes, 90):
                file.write(np.unpackbits(draw_bits(block), axis=1).tobytes())
        with archive.open("latents_classes.npy", "w") as file:
            np.lib.format.write_array(file, np.pad(codes, ((0, 0), (1, 0))))
    with pytest.warns(UserWarning, match="git_sha1 .* read nevertheless"):
        data = open_data("dsprites-npz", root=path, cache=False)
    indices = np.random.default_rng(0).integers(num_images, size=500)
    assert np.array_equal(data.images(indices), open_data("dsprites").images(indices))


def drawn_shapes(info):
    return scenes.draw(grid_codes(info), 64)


def test_a_repacked_3d_shapes_is_read_with_a_notice(tmp_path):
    info = repacked("3dshapes", SHAPE_SIZES)
    data, notice = accept(info, write_shapes3d(tmp_path / "a.h5", info, drawn_shapes(info)))
    assert np.array_equal(data.images(np.arange(len(data))), drawn_shapes(info))
    assert "have the sky of 3D Shapes and the hues of their labels" in notice


def swapped(images, first, second):
    grid = images.reshape(*SHAPE_SIZES, *images.shape[1:])
    assert SHAPE_SIZES[first] != SHAPE_SIZES[second]
    return grid.swapaxes(first, second).reshape(images.shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: 255 - images, "another sky"),
        (lambda images: images[..., ::-1], "another sky"),
        (lambda images: np.where(images == (153, 226, 249), images, images[..., [1, 2, 0]]), "another floor hue"),
        (lambda images: images // 32 * 32, "another sky"),
        (lambda images: swapped(images, 0, 1), "another floor hue"),
        (lambda images: swapped(images, 1, 2), "another wall hue"),
        (lambda images: swapped(images, 2, 4), "another object hue"),
        (lambda images: images[:, ::-1], "another sky"),
    ],
    ids=["negative", "BGR", "GBR", "fewer", "floor, wall", "wall, object", "object, shape", "flipped"],
)
def test_shapes_of_other_colors_or_in_another_order_are_refused(tmp_path, change, message):
    info = repacked("3dshapes", SHAPE_SIZES)
    images = np.ascontiguousarray(change(drawn_shapes(info)).astype(np.uint8))
    refuse(info, write_shapes3d(tmp_path / "a.h5", info, images), message)


def test_labels_in_another_order_and_a_reduced_3d_shapes_are_refused(tmp_path):
    info = repacked("3dshapes", SHAPE_SIZES)
    labels = shapes3d_labels(info)
    refuse(info, write_shapes3d(tmp_path / "a.h5", info, drawn_shapes(info), labels[:, ::-1]), "labels of floor_hue")
    whole = dataclasses.replace(info, factors=CATALOG["3dshapes"].factors)
    refuse(whole, tmp_path / "a.h5", "has 480 images, 3dshapes has 480,000")


GENUINE_FLOORS = (
    *((255, 0, 0), (255, 168, 0), (215, 255, 0), (56, 255, 0), (0, 250, 100)),
    *((0, 252, 252), (0, 112, 255), (55, 0, 255), (201, 0, 251), (248, 0, 149)),
)
"""Pixel (63, 32) of images of 3D Shapes with floor hue 0 to 9, from the notebook of google-deepmind/3d-shapes."""


def test_the_floor_colors_of_published_images_are_those_of_their_labels():
    info = small_info("3dshapes", (10, 1, 1, 1, 1, 1))
    images = drawn_shapes(info)
    images[:, 63, 32] = GENUINE_FLOORS
    assert content_error("3dshapes", (), ArrayDataSet(info, images, source="x")) is None
    images[3, 63, 32] = GENUINE_FLOORS[4]
    error = content_error("3dshapes", (), ArrayDataSet(info, images, source="x"))
    assert error == "1 of 10 sampled images have another floor hue than their labels"


def test_every_image_of_the_look_alike_has_sky_in_its_top_row():
    data = open_data("scenes-32")
    assert (data.images(np.arange(8 * 4 * 15))[:, 0] == scenes.SKY_RGB).all()


CELEBA = ["celeba", "celeba-crop"]


@pytest.mark.parametrize("name", CELEBA)
def test_a_repacked_celeba_is_read_with_a_notice(tmp_path, name):
    info = repacked(name, num_listed=NUM_PORTRAITS)
    path = write_celeba(tmp_path / "a.zip", [portrait(k) for k in range(NUM_PORTRAITS)])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("read me.txt", "packed again")
    data, notice = accept(info, path)
    assert data.images([0, NUM_PORTRAITS - 1]).shape == (2, 64, 64, 3)
    assert "the published img_align_celeba.zip" in notice
    assert "no pixel of it is known" in notice


@pytest.mark.parametrize("name", CELEBA)
@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([portrait(k) for k in range(NUM_PORTRAITS - 1)], "has 11 pictures instead of 12, and no .*/000012.jpg"),
        ([portrait(k, color=(98, 109, 129)) for k in range(NUM_PORTRAITS)], "mean RGB of 12 sampled pictures is 98, 1"),
        ([portrait(1)] * NUM_PORTRAITS, "only 1 of 12 sampled images are distinct"),
        ([portrait(k)[:900] for k in range(NUM_PORTRAITS)], "000001.jpg is damaged"),
    ],
    ids=["too few", "other colors", "equal", "cut"],
)
def test_other_pictures_than_celeba_are_refused(tmp_path, name, pictures, message):
    refuse(repacked(name, num_listed=NUM_PORTRAITS), write_celeba(tmp_path / "a.zip", pictures), message)


def test_a_dozen_pictures_are_not_celeba(tmp_path):
    path = write_celeba(tmp_path / "a.zip", [portrait(k) for k in range(NUM_PORTRAITS)])
    for name in CELEBA:
        refuse(
            CATALOG[name], path, r"the published .* has 1,443,490,838; .* has 12 pictures instead of 202,599, and no "
        )


def write_mpi3d(path, info, images):
    return write_npz(path, compress=False, images=images)


UNKNOWN = {
    "mpi3d-toy": ((6, 6, 1, 1, 1, 3, 4), write_mpi3d),
    "mpi3d-realistic": ((6, 6, 1, 1, 1, 3, 4), write_mpi3d),
    "mpi3d-real": ((6, 6, 1, 1, 1, 3, 4), write_mpi3d),
    "mpi3d-complex": ((4, 4, 1, 2, 1, 3, 4), write_mpi3d),
    "3dfaces": ((20, 3, 3, 4), write_faces),
}


def written(info, folder, images):
    return UNKNOWN[info.name][1](folder / "a.npz", info, images)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_plausible_file_without_a_valid_checksum_is_read_with_a_notice(tmp_path, name):
    info = repacked(name, UNKNOWN[name][0])
    data, notice = accept(info, written(info, tmp_path, plausible_images(info)))
    assert len(data) == info.num_images
    assert "of which no valid checksum is known" in notice
    assert "are alike; no pixel of it is known" in notice


@pytest.mark.parametrize("name", ["mpi3d-real", "3dfaces"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images * 0, "of .* sampled images are blank"),
        (lambda images: np.concatenate([images[:100], images[100:] * 0]), "of .* sampled images are blank"),
        (lambda images: np.repeat(images[:1], len(images), axis=0), "only 1 of .* sampled images are distinct"),
        (lambda images: np.random.default_rng(0).permutation(images), "are not in the published order"),
        (lambda images: np.random.default_rng(0).integers(256, size=images.shape), "are not in the published order"),
    ],
    ids=["empty", "partly empty", "equal", "shuffled", "noise"],
)
def test_an_implausible_file_is_refused(tmp_path, name, change, message):
    info = repacked(name, UNKNOWN[name][0])
    images = change(plausible_images(info)).astype(np.uint8)
    refuse(info, written(info, tmp_path, images), f"no valid checksum is known; .*{message}")


def test_a_repacked_archive_of_cars_is_read_with_a_notice_and_one_of_other_views_refused(tmp_path):
    info = repacked("cars3d", (1, 4, 8))
    rng = np.random.default_rng(0)
    colors = rng.integers(0, 200, (8, 128, 128, 3, 1, 1), np.uint8)
    turns = 4 * np.arange(4, dtype=np.uint8)[:, None]
    cars = {f"car_{k:03d}_mesh": color + turns for k, color in enumerate(colors)}
    _, notice = accept(info, write_cars(tmp_path / "a.tar.gz", cars))
    assert "the published nips2015-analogy-data.tar.gz" in notice
    noise = {name: rng.integers(0, 256, (128, 128, 3, 4, 1), np.uint8) for name in cars}
    refuse(info, write_cars(tmp_path / "b.tar.gz", noise), "neighbor along azimuth")


def test_repacked_toys_are_read_with_a_notice_for_each_file_and_noise_is_refused(tmp_path):
    info = repacked("smallnorb", (2, 3, 4, 2), images_per_combination=4)
    patterns = np.random.default_rng(0).integers(0, 200, (2, 2, 4, 96, 96), np.uint8)

    def draw(codes):
        category, elevation, azimuth, lighting, toy = codes.T.astype(np.uint8)
        left = patterns[category, lighting, toy] + (4 * elevation + 3 * azimuth)[:, None, None]
        return np.stack([left, 255 - left], axis=1)

    write_smallnorb(tmp_path, info, draw=draw)
    _, notice = accept(info, tmp_path)
    assert all(f"the published {file.name} has" in notice for file in info.files)
    write_smallnorb(tmp_path, info)
    refuse(info, tmp_path, "neighbor along elevation")
