"""The catalog of data sets: factors in order, sizes, files with their checksums, license and source.

Checksums are the publishers' where they give them, else those of tensorflow/datasets (url_checksums), torchvision or
disent, or the git blob hash in the publisher's repository. A checksum is `pinned` if the published file has not changed
since; a file with another checksum is then read only if its content is right (`vae.data.content`), as is one whose
checksum is not pinned or not known.
"""

import math
from dataclasses import dataclass, replace

from ganspace_topdis.factors import Factor
from vae.data import dsprites, scenes

__all__ = ["CATALOG", "DataSetInfo", "SourceFile"]


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A published file.

    Attributes:
        name: its published name.
        url: where it can be downloaded; None if that needs a person.
        num_bytes: its size, if known.
        sha256, md5, git_sha1: its checksums, if known; the last one is its git blob hash.
        pinned: whether its checksums are those of the file that is published today.
    """

    name: str
    url: str | None = None
    num_bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    git_sha1: str | None = None
    pinned: bool = True

    @property
    def has_valid_checksum(self) -> bool:
        """Whether a checksum is known of the file that is published today."""
        return self.pinned and bool(self.sha256 or self.md5 or self.git_sha1)


@dataclass(frozen=True, kw_only=True)
class DataSetInfo:
    """A data set.

    Attributes:
        name: what `open_data` calls it.
        title: what it shows.
        factors: in order, the last one fastest; () if unknown.
        image_shape: (H, W, C) as read by this package.
        files: the files it is read from; () for procedural data sets.
        license: license of the images.
        source: authors and web page.
        instructions: how to get files without a `url`.
        images_per_combination: images per combination of factor values.
        num_listed: number of images of a data set without factors.
        bits: whether pixels are 0 or 1 and stored as bits.
        view: name of the variation of another data set that it stores; "" for none.
    """

    name: str
    title: str
    factors: tuple[Factor, ...]
    image_shape: tuple[int, int, int]
    license: str
    source: str
    files: tuple[SourceFile, ...] = ()
    instructions: str = ""
    images_per_combination: int = 1
    num_listed: int = 0
    bits: bool = False
    view: str = ""

    @property
    def num_images(self) -> int:
        """Number of images."""
        if not self.factors:
            return self.num_listed
        return math.prod(factor.size for factor in self.factors) * self.images_per_combination

    @property
    def num_array_bytes(self) -> int:
        """Size of the array that stores all images."""
        return self.num_images * math.prod(self.image_shape) // (8 if self.bits else 1)


_SPRITES = "Matthey, Higgins, Hassabis and Lerchner 2017, github.com/google-deepmind/dsprites-dataset"
_SPRITES_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"
_SPRITES_URL = f"https://github.com/google-deepmind/dsprites-dataset/raw/master/{_SPRITES_FILE}"
_MPI3D = "Gondal et al. 2019, github.com/rr-learning/disentanglement_dataset"
_MPI3D_URL = "https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/"
_NORB_URL = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"


def _sprites(name: str, title: str, license_name: str, *files: SourceFile) -> DataSetInfo:
    return DataSetInfo(
        name=name,
        title=title,
        factors=dsprites.FACTORS,
        image_shape=(64, 64, 1),
        license=license_name,
        source=_SPRITES,
        files=files,
        bits=True,
    )


def _scenes(name: str, resolution: int) -> DataSetInfo:
    return DataSetInfo(
        name=name,
        title=f"a procedural look-alike of 3D Shapes at {resolution} px",
        factors=scenes.FACTORS,
        image_shape=(resolution, resolution, 3),
        license="MIT (this package)",
        source="vae.data.scenes, after the published description of 3D Shapes",
    )


def _view(name: str, base: DataSetInfo, side_px: int, **sizes: int) -> DataSetInfo:
    """Return an entry for the pooled images of `base`, with `sizes` values of some factors."""
    kept = ",".join(f"{factor}={size}" for factor, size in sizes.items())
    return replace(
        base,
        name=name,
        title=f"{base.name}, pooled to {side_px} px, with fewer values of {', '.join(sizes)}",
        factors=tuple(replace(factor, size=sizes.get(factor.name, factor.size)) for factor in base.factors),
        image_shape=(side_px, side_px, base.image_shape[2]),
        bits=False,
        view=f"{base.name}:{kept},px={side_px}",
    )


def _mpi3d_factors(colors: int, shapes: int) -> tuple[Factor, ...]:
    return (
        Factor("object_color", colors, "categorical"),
        Factor("object_shape", shapes, "categorical"),
        Factor("object_size", 2, "linear"),
        Factor("camera_height", 3, "linear"),
        Factor("background_color", 3, "categorical"),
        Factor("horizontal_axis", 40, "linear"),
        Factor("vertical_axis", 40, "linear"),
    )


def _mpi3d(kind: str, md5: str) -> DataSetInfo:
    file = f"mpi3d_{kind}.npz"
    return DataSetInfo(
        name=f"mpi3d-{kind}",
        title=f"a robot arm carrying an object ({kind} images)",
        factors=_mpi3d_factors(6, 6),
        image_shape=(64, 64, 3),
        license="CC BY 4.0",
        source=_MPI3D,
        files=(SourceFile(name=file, url=_MPI3D_URL + file, md5=md5, pinned=False),),
    )


def _norb(part: str, kind: str, num_bytes: int, sha256: str) -> SourceFile:
    name = f"smallnorb-{part}-{kind}.mat.gz"
    return SourceFile(name=name, url=_NORB_URL + name, num_bytes=num_bytes, sha256=sha256)


_NORB_TRAIN, _NORB_TEST = "5x46789x9x18x6x2x96x96-training", "5x01235x9x18x6x2x96x96-testing"
_NORB_FILES = (
    _norb(_NORB_TRAIN, "dat", 131_896_188, "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"),
    _norb(_NORB_TRAIN, "cat", 348, "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa"),
    _norb(_NORB_TRAIN, "info", 71_052, "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32"),
    _norb(_NORB_TEST, "dat", 130_799_817, "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474"),
    _norb(_NORB_TEST, "cat", 347, "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff"),
    _norb(_NORB_TEST, "info", 10_428, "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2"),
)
_CELEBA_FILE = SourceFile(
    name="img_align_celeba.zip",
    num_bytes=1_443_490_838,
    sha256="46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
    md5="00d2c5bc6d35e252742224ab0c1e8fcb",
)


def _celeba(name: str, crop: str) -> DataSetInfo:
    return DataSetInfo(
        name=name,
        title=f"faces of celebrities, {crop}",
        factors=(),
        image_shape=(64, 64, 3),
        license="research only",
        source="Liu, Luo, Wang and Tang 2015, mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        files=(_CELEBA_FILE,),
        instructions="download img_align_celeba.zip from the page's Google Drive or Baidu folder",
        num_listed=202_599,
    )


_DRAWN_SPRITES = _sprites("dsprites", "white shapes on black, drawn on demand", "MIT (this package); design Apache-2.0")
_SMALL_SCENES = _scenes("scenes-32", 32)
_ENTRIES = (
    _DRAWN_SPRITES,
    _sprites("dsprites-cached", "dsprites, drawn once and stored as bits", "MIT (this package); design Apache-2.0"),
    _sprites(
        "dsprites-npz",
        "white shapes on black, the published npz",
        "Apache-2.0",
        SourceFile(
            name=f"{_SPRITES_FILE}.npz",
            url=f"{_SPRITES_URL}.npz",
            git_sha1="d98996d3f8ee1550e06b9d4ed78d0beb478910d5",
        ),
    ),
    _sprites(
        "dsprites-hdf5",
        "white shapes on black, the published hdf5",
        "Apache-2.0",
        SourceFile(
            name=f"{_SPRITES_FILE}.hdf5",
            url=f"{_SPRITES_URL}.hdf5",
            num_bytes=28_024_106,
            sha256="729fa22e884c9c500e1f17415d580746b4c5894fbbb780a1319bbcfa39a745bb",
            md5="b331c4447a651c44bf5e8ae09022e230",
            git_sha1="3c8de5d40afa425dfd9de811d71248449aae238b",
        ),
    ),
    _view("dsprites-16", _DRAWN_SPRITES, 16, orientation=8, posX=16, posY=16),
    _scenes("scenes", 64),
    _SMALL_SCENES,
    _scenes("scenes-cached", 64),
    _view("scenes-16", _SMALL_SCENES, 16, floor_hue=5, wall_hue=5, object_hue=5, orientation=8),
    DataSetInfo(
        name="3dshapes",
        title="objects in a room",
        factors=scenes.FACTORS,
        image_shape=(64, 64, 3),
        license="Apache-2.0",
        source="Burgess and Kim 2018, github.com/google-deepmind/3d-shapes",
        files=(
            SourceFile(
                name="3dshapes.h5",
                url="https://storage.googleapis.com/3d-shapes/3dshapes.h5",
                num_bytes=267_573_662,
                sha256="0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
                md5="099a2078d58cec4daad0702c55d06868",
            ),
        ),
    ),
    _mpi3d("toy", "55889cb7c7dfc655d6e0277beee88868"),
    _mpi3d("realistic", "59a6225b88b635365f70c91b3e52f70f"),
    _mpi3d("real", "0f33f609918fb5c97996692f91129802"),
    DataSetInfo(
        name="mpi3d-complex",
        title="a robot arm carrying a cup, ball, croissant or beer",
        factors=_mpi3d_factors(4, 4),
        image_shape=(64, 64, 3),
        license="CC BY 4.0",
        source=_MPI3D,
        files=(SourceFile(name="real3d_complicated_shapes_ordered.npz"),),
        instructions="download drive.google.com/file/d/1Tp8eTdHxgUMtsZv5uAoYAbJR1BOa_OQm, linked from the web page",
    ),
    DataSetInfo(
        name="3dfaces",
        title="rendered faces of the Basel face model",
        factors=(
            Factor("face_id", 50, "categorical"),
            Factor("azimuth", 21, "linear"),
            Factor("elevation", 11, "linear"),
            Factor("lighting", 11, "linear"),
        ),
        image_shape=(64, 64, 1),
        license="Basel face model, non-commercial, no redistribution",
        source="Chen, Li, Grosse and Duvenaud 2018 (beta-TCVAE); Paysan et al. 2009",
        files=(SourceFile(name="basel_face_renders.pth"),),
        instructions="its authors send it to holders of a license of the Basel face model",
    ),
    _celeba("celeba", "squashed to a square"),
    _celeba("celeba-crop", "center crop of 148 px"),
    DataSetInfo(
        name="cars3d",
        title="rendered cars",
        factors=(
            Factor("elevation", 4, "linear"),
            Factor("azimuth", 24, "circular"),
            Factor("object", 183, "categorical"),
        ),
        image_shape=(64, 64, 3),
        license="not stated",
        source="Reed, Zhang, Zhang and Lee 2015, www.scottreed.info",
        files=(SourceFile(name="nips2015-analogy-data.tar.gz", md5="4e866a7919c1beedf53964e6f7a23686"),),
        instructions="download www.scottreed.info/files/nips2015-analogy-data.tar.gz (http only)",
    ),
    DataSetInfo(
        name="smallnorb",
        title="photographs of toys, the left image of each stereo pair",
        factors=(
            Factor("category", 5, "categorical"),
            Factor("elevation", 9, "linear"),
            Factor("azimuth", 18, "circular"),
            Factor("lighting", 6, "categorical"),
        ),
        image_shape=(64, 64, 1),
        license="research only",
        source="LeCun, Huang and Bottou 2004, cs.nyu.edu/~ylclab/data/norb-v1.0-small",
        files=_NORB_FILES,
        images_per_combination=10,
    ),
)
CATALOG: dict[str, DataSetInfo] = {info.name: info for info in _ENTRIES}
