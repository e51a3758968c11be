"""Readers for the two containers that `torch.save` writes, without torch's unpickler.

Since torch 1.6, a zip archive: `NAME/data.pkl` describes the object, its storages are persistent ids
('storage', type, key, location, numel), and their bytes are stored uncompressed in `NAME/data/KEY`. Before 1.6, and
nested in NVIDIA's pickles: five consecutive pickles (a magic number, the version 1001, facts about the machine, the
object, the list of keys), then an int64 count and the bytes for each key. Source: torch/serialization.py.
"""

import struct
import zipfile
from typing import Any

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.archives import open_archive, stored_member
from ganspace_topdis.runs.reading import ReadingError
from ganspace_topdis.safe_pickle.records import STORAGE_TYPES, Budget, Global, Record, Storage, damaged, printable
from ganspace_topdis.safe_pickle.safe_globals import dictionary_maker, numpy_globals, plain_globals, tensor_globals
from ganspace_topdis.safe_pickle.safe_unpickler import Allowlist, SafeUnpickler

__all__ = ["LEGACY_HEAD", "file_globals", "read_legacy", "read_pickle", "read_zip"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001
LEGACY_HEAD = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
"""The first bytes of a legacy container."""

PERSISTENT = "torch_utils.persistence"


def file_globals(budget: Budget) -> Allowlist:
    """Return the allowlist for the pickle of a checkpoint, in any container."""
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
    """Return an object of NVIDIA's persistence scheme as a Record of its class and state. Its source is ignored."""
    if not isinstance(meta, Record) or meta.get("type") != "class" or not isinstance(meta.get("state"), Record):
        raise damaged("a persistent object without its state")
    made = Record(f"{PERSISTENT}.{printable(meta.get('class_name'))}")
    made.state = meta["state"]
    return made


def read_pickle(data: memoryview, budget: Budget) -> Any:
    """Return the object in a plain pickle.

    Raises:
        CheckpointError: the pickle is damaged, or exceeds the budget.
    """
    return SafeUnpickler(data, file_globals(budget), budget).load()


def read_zip(data: memoryview, budget: Budget) -> Any:
    """Return the object in a zip container, with its storages filled.

    Raises:
        CheckpointError: the archive is damaged, compressed, or not written by `torch.save`.
    """
    entries = _entries(data)
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError("this is a zip archive but not a checkpoint: it has no entry */data.pkl")
    if bytes(entries.get(f"{roots[0]}byteorder", memoryview(b"little"))) != b"little":
        raise CheckpointError("its weights are stored in big-endian order, which is not supported")
    storages: dict[str, Storage] = {}

    def resolve(identifier: Any) -> Storage:
        key, storage = _describe(identifier)
        if key not in storages:
            if f"{roots[0]}data/{key}" not in entries:
                raise damaged(f"the entry data/{printable(key)} is missing")
            storage.fill(entries[f"{roots[0]}data/{key}"])
            storages[key] = storage
        return storages[key]

    return SafeUnpickler(entries[f"{roots[0]}data.pkl"], file_globals(budget), budget, resolve).load()


def read_legacy(data: memoryview, budget: Budget, allowed: Allowlist | None = None) -> Any:
    """Return the object in a container of torch before 1.6, with its storages filled.

    Args:
        data: the file's bytes.
        budget: the limit on elements and bytes.
        allowed: the allowlist; None: `file_globals`.

    Raises:
        CheckpointError: the container is damaged.
    """
    storages: dict[str, Storage] = {}

    def resolve(identifier: Any) -> Storage | Global:
        if isinstance(identifier, tuple) and len(identifier) == 4 and identifier[0] == "module":
            return _class_of_module(identifier[1])  # its source text is ignored
        key, storage = _describe(identifier)
        return storages.setdefault(key, storage)

    reader = SafeUnpickler(data, file_globals(budget) if allowed is None else allowed, budget, resolve)
    magic, version, facts = reader.load(), reader.load(), reader.load()
    if magic != LEGACY_MAGIC or version != LEGACY_VERSION:
        raise damaged("not written by torch.save")
    if isinstance(facts, Record) and facts.get("little_endian", True) is not True:
        raise CheckpointError("its weights are stored in big-endian order, which is not supported")
    value, keys = reader.load(), reader.load()
    position = reader.position
    if not isinstance(keys, list) or len(keys) > len(storages):
        raise damaged("a list of storages that does not match")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        header = data[position : position + 8]
        if storage is None or len(header) != 8 or struct.unpack("<q", header)[0] != storage.numel:
            raise damaged("a storage that does not match its description")
        end = position + 8 + storage.num_bytes
        storage.fill(data[position + 8 : end])
        position = end
    return value


def _class_of_module(value: Any) -> Global:
    if not isinstance(value, Global):
        raise damaged("a module without its class")
    return value


def _storage_from_bytes(data: Any, budget: Budget) -> Storage:
    """Return the storage in a nested container. NVIDIA's files hold one per tensor."""
    if not isinstance(data, memoryview):
        raise damaged("a storage without its bytes")
    storage = read_legacy(data, budget, tensor_globals(budget))
    if not isinstance(storage, Storage) or storage.data is None:
        raise damaged("a nested container without a storage")
    return storage


def _describe(identifier: Any) -> tuple[str, Storage]:
    """Return key and empty storage of a persistent id."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
        raise damaged("a persistent id without a storage")
    kind, key, numel = identifier[1], identifier[2], identifier[4]
    name = getattr(kind, "name", "")
    dtype = STORAGE_TYPES.get(name.removeprefix("torch.").removeprefix("storage."))
    if dtype is None or not isinstance(key, str) or (len(identifier) == 6 and identifier[5] is not None):
        raise damaged("a storage of an unknown type")
    return key, Storage(dtype, numel)


def _entries(data: memoryview) -> dict[str, memoryview]:
    """Return the bytes of every entry, without copying or inflating any."""
    try:
        with open_archive(data) as archive:
            return {info.filename: _content(data, info) for info in archive.infolist()}
    except ReadingError as error:
        raise damaged(f"a broken zip archive: {error}") from error


def _content(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
        raise CheckpointError("this zip archive is compressed or encrypted, unlike any checkpoint; unpack it first")
    start, end = stored_member(data, info)
    return data[start:end]
