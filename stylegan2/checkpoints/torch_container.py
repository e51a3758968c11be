"""The two containers that `torch.save` writes, read without torch.

Since 1.6 a zip archive: `NAME/data.pkl` describes the object, its storages are persistent ids
('storage', type, key, location, numel), and their bytes lie uncompressed in `NAME/data/KEY`. Before, and nested
in NVIDIA's pickles, five pickles one after another (a magic number, the version 1001, facts about the machine,
the object, the list of keys) and then, for each key, an int64 count and the bytes.
Source: torch/serialization.py describes both.
"""

import struct
import zipfile
from typing import Any

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.archives import open_archive
from ganspace_topdis.runs.reading import ReadingError
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.inert import dictionary_maker, numpy_globals, plain_globals, tensor_globals
from stylegan2.checkpoints.pickle_machine import Allowed, Global, PickleMachine, Record, damaged, printable
from stylegan2.checkpoints.tensors import STORAGE_TYPES, Storage

__all__ = ["LEGACY_MAGIC", "file_globals", "read_legacy", "read_zip"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
PERSISTENT = "torch_utils.persistence"


def file_globals(budget: Budget) -> Allowed:
    """What the pickle of a checkpoint may make of names, whatever its container: all else becomes inert records."""
    return {
        **plain_globals(budget),
        **tensor_globals(budget),
        **numpy_globals(budget),
        "collections.defaultdict": lambda *_: Record("dict"),
        "builtins.dict": dictionary_maker(budget),
        "dnnlib.util.EasyDict": dictionary_maker(budget),
        "torch.storage._load_from_bytes": lambda data: _storage_from_bytes(data, budget),
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    }


def _persistent(meta: Any) -> Record:
    """An object of NVIDIA's persistence scheme, like any other object: its class's name, and its state."""
    if not isinstance(meta, Record) or meta.get("type") != "class" or not isinstance(meta.get("state"), Record):
        raise damaged("a persistent object without its state")
    made = Record(f"{PERSISTENT}.{printable(meta.get('class_name'))}")
    made.state = meta["state"]
    return made


def read_zip(data: memoryview, budget: Budget) -> Any:
    """The object in a zip container, its storages filled.

    Raises:
        CheckpointError: the archive is damaged, compressed, or no container of torch's.
    """
    entries = _entries(data)
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError("this is a zip archive but no checkpoint: nothing in it is named */data.pkl")
    if bytes(entries.get(f"{roots[0]}byteorder", memoryview(b"little"))) != b"little":
        raise CheckpointError("its weights are stored in big-endian order, which cannot be read")
    storages: dict[str, Storage] = {}

    def resolve(identifier: Any) -> Storage:
        key, storage = _describe(identifier)
        if key not in storages:
            if f"{roots[0]}data/{key}" not in entries:
                raise damaged(f"the entry data/{printable(key)} is missing")
            storage.fill(entries[f"{roots[0]}data/{key}"])
            storages[key] = storage
        return storages[key]

    machine = PickleMachine(entries[f"{roots[0]}data.pkl"], file_globals(budget), budget, resolve)
    return machine.run()


def read_legacy(data: memoryview, budget: Budget, allowed: Allowed | None = None) -> Any:
    """The object in the container of torch before 1.6, its storages filled; `allowed` is `file_globals` by default.

    Raises:
        CheckpointError: the container is damaged.
    """
    storages: dict[str, Storage] = {}

    def resolve(identifier: Any) -> Storage | Global:
        if isinstance(identifier, tuple) and len(identifier) == 4 and identifier[0] == "module":
            return _class_of_module(identifier[1])  # with its source text, which is ignored
        key, storage = _describe(identifier)
        return storages.setdefault(key, storage)

    machine = PickleMachine(data, file_globals(budget) if allowed is None else allowed, budget, resolve)
    magic, version, facts = machine.run(), machine.run(), machine.run()
    if magic != LEGACY_MAGIC or version != LEGACY_VERSION:
        raise damaged("no container of torch's")
    if isinstance(facts, Record) and facts.get("little_endian", True) is not True:
        raise CheckpointError("its weights are stored in big-endian order, which cannot be read")
    value, keys = machine.run(), machine.run()
    position = machine.position
    if not isinstance(keys, list) or len(keys) > len(storages):
        raise damaged("a list of storages that does not fit")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        header = data[position : position + 8]
        if storage is None or len(header) != 8 or struct.unpack("<q", header)[0] != storage.numel:
            raise damaged("a storage that does not fit its description")
        end = position + 8 + storage.num_bytes
        storage.fill(data[position + 8 : end])
        position = end
    return value


def _class_of_module(value: Any) -> Global:
    if not isinstance(value, Global):
        raise damaged("a module without its class")
    return value


def _storage_from_bytes(data: Any, budget: Budget) -> Storage:
    """The storage in one nested container, as NVIDIA's files hold for every tensor."""
    if not isinstance(data, memoryview):
        raise damaged("a storage without its bytes")
    storage = read_legacy(data, budget, tensor_globals(budget))
    if not isinstance(storage, Storage) or storage.data is None:
        raise damaged("a nested container that holds no storage")
    return storage


def _describe(identifier: Any) -> tuple[str, Storage]:
    """Key and still empty storage of a persistent id."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
        raise damaged("a persistent id that names no storage")
    kind, key, numel = identifier[1], identifier[2], identifier[4]
    name = getattr(kind, "name", "")
    dtype = STORAGE_TYPES.get(name.removeprefix("torch.")) if isinstance(name, str) else None
    if dtype is None or not isinstance(key, str) or (len(identifier) == 6 and identifier[5] is not None):
        raise damaged("a storage of unknown kind")
    return key, Storage(dtype, numel)


def _entries(data: memoryview) -> dict[str, memoryview]:
    """The bytes of every entry, none of them copied or inflated."""
    try:
        with open_archive(data) as archive:
            return {info.filename: _content(data, info) for info in archive.infolist()}
    except ReadingError as error:
        raise damaged(f"a broken zip archive: {error}") from error


def _content(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
        raise CheckpointError("this zip archive is compressed or encrypted, which no checkpoint is; unpack it first")
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise damaged("a zip entry without its header")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name_length + extra_length
    content = data[start : start + info.file_size]
    if len(content) != info.file_size:
        raise damaged("a zip entry that ends too early")
    return content
