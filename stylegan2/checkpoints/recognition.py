"""Which kind of file this is, told by its content and never by its name; and its generator.

A zip archive or torch's magic number is a `torch.save` file, a length and a brace is safetensors, any other file of
this kind is a plain pickle: a triple of networks is NVIDIA's for TensorFlow 1, all else is told by its contents.
"""

import mmap
from pathlib import Path

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.reading import ReadingError, parsing
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.native import read_native
from stylegan2.checkpoints.nvidia_tf import is_network, read_nvidia_tf
from stylegan2.checkpoints.pickle_machine import PickleMachine, damaged
from stylegan2.checkpoints.torch_container import LEGACY_MAGIC, file_globals, read_legacy, read_zip
from stylegan2.checkpoints.torch_layouts import read_torch_layout

__all__ = ["read_checkpoint"]

MAX_FILE_BYTES = 8 << 30
LEGACY_HEAD = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a WebP image or another RIFF file",
    b"BM": "a BMP image",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"<": "a web page; the download had failed",
    b"{": "a JSON document",
}


def read_checkpoint(path: Path) -> Checkpoint:
    """The generator in the file at `path`. Nothing in the file is executed.

    Raises:
        CheckpointError: the file is missing, damaged, hostile, or of a kind that cannot be used.
    """
    data = _bytes_of(path)
    if _is_safetensors(data):
        return read_native(path)
    return _read(data, Budget(len(data)))


def _bytes_of(path: Path) -> memoryview:
    """The file's bytes, mapped and not read: published files hold networks that are never looked at."""
    if path.is_dir():
        raise CheckpointError("this is a folder; give a file in it")
    if not path.exists():
        raise CheckpointError("there is no such file; check the path")
    if not path.is_file():
        raise CheckpointError("this is no plain file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CheckpointError(f"the file is larger than {MAX_FILE_BYTES >> 30} GiB, which no checkpoint is")
    if path.stat().st_size == 0:
        raise CheckpointError("the file is empty; fetch it again")
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _is_safetensors(data: memoryview) -> bool:
    return len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


def _read(data: memoryview, budget: Budget) -> Checkpoint:
    try:
        with parsing():
            if data[:2] == b"PK":
                return read_torch_layout(read_zip(data, budget), budget)
            if data[: len(LEGACY_HEAD)] == LEGACY_HEAD:
                return read_torch_layout(read_legacy(data, budget), budget)
            if data[0] == 0x80:
                return _read_pickle(data, budget)
    except ReadingError as error:
        raise damaged(f"its contents are not those of a checkpoint: {error}") from error
    for signature, kind in SIGNATURES.items():
        if data[: len(signature)] == signature:
            raise CheckpointError(f"this is no checkpoint but {kind}")
    raise CheckpointError("this is none of the known kinds of checkpoint, or its start is damaged; fetch it again")


def _read_pickle(data: memoryview, budget: Budget) -> Checkpoint:
    content = PickleMachine(data, file_globals(budget), budget).run()
    if isinstance(content, tuple) and len(content) == 3 and is_network(content[2]):
        return read_nvidia_tf(content[2], budget)
    return read_torch_layout(content, budget)
