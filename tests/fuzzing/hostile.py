"""Hand-made hostile files for every reader: tables from kind of file and fault to bytes."""

import hashlib
import io
import json
import struct
import zipfile
import zlib

import numpy as np

from tests.fuzzing.pickles import BODIES, legacy, plain, zipped

DEEP = 5000
HUGE = 100 << 30


def npy(shape="(2, 3)", descr="'<f4'", order="False", *, data=bytes(24), header=None, version=1, length=None):
    text = header if header is not None else f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    raw = text.encode("latin-1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(raw) % 65536 if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + data


NPY = {
    "a shape of 10^10000": npy(f"({10**4000}{'0' * 6000},)", version=2),
    "a shape of 2^62": npy("(4611686018427387904,)"),
    "a shape of 2^40 twice": npy("(1099511627776, 1099511627776)"),
    "a shape of less than nothing": npy("(-2, 3)"),
    "a shape of a word": npy("('a',)"),
    "a shape of calls": npy("(__import__('os').getpid(),)"),
    "a shape of brackets": npy("(" * DEEP + ")" * DEEP, version=2),
    "a shape of truth": npy("(True, 3)"),
    "a shape of a float": npy("(2.0, 3)"),
    "a shape of forty axes": npy("(1," * 1 + "1," * 39 + ")"),
    "a header of brackets": npy(header="[" * DEEP, version=2),
    "a header of minus signs": npy(header="-" * 9000 + "1", version=2),
    "a header of a megabyte": npy(header="{" + " " * (1 << 20) + "}", version=2),
    "a header of four gigabytes": npy(version=2, length=2**32 - 1),
    "a header of nothing": npy(header="", length=0),
    "a header longer than the file": npy(length=60000),
    "a header that ends within a string": npy(header="{'descr': '<f4"),
    "a header twice": npy(header="{'descr': '<f4', 'shape': (2, 3), 'shape': (2,), 'fortran_order': False, }"),
    "a header of NULs": npy(header="\0" * 100),
    "an unknown version": npy(version=9),
    "pickled objects": npy(descr="'|O'", data=b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."),
    "a structure of objects": npy(descr="[('a', '|O'), ('b', '<f4')]"),
    "a type of megabytes": npy(descr="'<f9999'"),
    "a type of text": npy(descr="'<U6'"),
    "a type by evaluation": npy(descr="__import__('os')"),
    "too few values": npy(data=bytes(23)),
    "too many values": npy(data=bytes(25)),
    "no values": npy("(0, 3)", data=b""),
    "not a number": npy(data=np.full(6, np.nan, "<f4").tobytes()),
    "infinity": npy(data=np.full(6, np.inf, "<f4").tobytes()),
    "one number": npy("()", data=bytes(4)),
    "complex numbers": npy("(3,)", descr="'<c8'"),
    "the first bytes alone": b"\x93NUMPY",
    "an empty file": b"",
}


def raw_zip(entries, *, count=None, directory=None, offset=None, comment=b""):
    """A zip archive with whatever its directory is to say: entries are (name, data, changes of the directory)."""
    out, central = bytearray(), bytearray()
    for name, data, changes in entries:
        says = {"size": len(data), "packed": len(data), "method": 0, "flags": 0, "offset": len(out)} | changes
        raw, crc = name.encode(), zlib.crc32(data)
        if data is not None and "offset" not in changes:
            out += (
                struct.pack(
                    "<4s5H3I2H",
                    b"PK\x03\x04",
                    20,
                    says["flags"],
                    says["method"],
                    0,
                    0,
                    crc,
                    says["packed"] % 2**32,
                    says["size"] % 2**32,
                    len(raw),
                    0,
                )
                + raw
                + data
            )
        central += (
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\x01\x02",
                20,
                20,
                says["flags"],
                says["method"],
                0,
                0,
                crc,
                says["packed"] % 2**32,
                says["size"] % 2**32,
                len(raw),
                len(says.get("extra", b"")),
                0,
                0,
                0,
                0,
                says["offset"] % 2**32,
            )
            + raw
            + says.get("extra", b"")
        )
    number = len(entries) if count is None else count
    end = struct.pack(
        "<4s4H2IH",
        b"PK\x05\x06",
        0,
        0,
        number % 65536,
        number % 65536,
        len(central) if directory is None else directory,
        len(out) if offset is None else offset,
        len(comment),
    )
    return bytes(out + central + end + comment)


def deflated(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def npz_bomb(num_bytes):
    """Few bytes that inflate to many, honestly declared."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as file:
        file.write(npy(f"({num_bytes // 4},)", data=b""))
        for _ in range(num_bytes >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


ZIP64 = struct.pack("<HHQQ", 1, 16, HUGE, HUGE)
PACKED = deflated(npy())


def archives(name, good):
    """Archives in which the member `name`, at its best `good`, is not what the directory says."""
    packed = deflated(good)
    return {
        "a member of 100 GB, packed": raw_zip([(name, packed, {"size": HUGE, "method": 8})]),
        "a member of 4 GB, packed": raw_zip([(name, packed, {"size": 2**32 - 2, "method": 8})]),
        "a member of 100 GB by zip64": raw_zip(
            [(name, good, {"size": 2**32 - 1, "packed": 2**32 - 1, "extra": ZIP64})]
        ),
        "a member of less than it has": raw_zip([(name, good, {"size": 3, "packed": 3})]),
        "a member of more than it has": raw_zip([(name, good, {"size": 10**6, "packed": 10**6})]),
        "a member before the file": raw_zip([(name, good, {"offset": 2**32 - 9})]),
        "a member in the directory": raw_zip([("x", good, {}), (name, good, {"offset": len(good) + 31})]),
        "members that overlap": raw_zip([(name, good, {})] + [(f"m{k}.npy", good, {"offset": 0}) for k in range(3000)]),
        "a member twice": raw_zip([(name, good, {}), (name, good, {})]),
        "a member that is encrypted": raw_zip([(name, good, {"flags": 1})]),
        "a member packed in a way unknown": raw_zip([(name, good, {"method": 99})]),
        "a member packed by bzip2, which it is not": raw_zip([(name, good, {"method": 12})]),
        "a member packed by LZMA, which it is not": raw_zip([(name, good, {"method": 14})]),
        "a member that is no deflate": raw_zip([(name, b"\xff" * 50, {"method": 8})]),
        "a directory of 4 GB": raw_zip([(name, good, {})], directory=2**32 - 1),
        "a directory beyond the end": raw_zip([(name, good, {})], offset=2**31),
        "a directory of more members than there are": raw_zip([(name, good, {})], count=65535),
        "a directory of six megabytes": raw_zip([(f"{k:06d}" + "x" * 1000, b"", {"offset": 0}) for k in range(6000)]),
        "ten thousand members": raw_zip([(f"{k}", b"", {"offset": 0}) for k in range(10_000)]),
        "no members": raw_zip([]),
        "an archive in an archive": raw_zip([("inner.zip", raw_zip([(name, good, {})]), {})]),
        "the first bytes alone": b"PK\x03\x04",
        "the end alone": raw_zip([])[:20],
        "a comment longer than the file": raw_zip([(name, good, {})])[:-2] + b"\xff\xff",
        "a name that leaves the folder": raw_zip([("../../" + name, good, {})]),
    }


def safetensors(header, data=b"", *, length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def checksummed(description):
    """A file with a correct checksum, one tensor and an arbitrary description."""
    values = np.zeros(2, "<f4").tobytes()
    digest = hashlib.sha256(description.encode())
    digest.update(b"\0mean\0torch.float32\0(2,)\0" + values)
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return safetensors(
        {"__metadata__": {"description": description, "sha256": digest.hexdigest()}, "mean": entry}, values
    )


def one(**changes):
    return {"mean": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


SAFETENSORS = {
    "a header of 2^63": safetensors({}, length=2**63),
    "a header of less than nothing": safetensors({}, length=2**64 - 1),
    "a header of nothing": safetensors(b"{}", length=0),
    "a header longer than the file": safetensors({}, length=10**6),
    "a header of 60 MB": safetensors(b"{" + b" " * (60 << 20) + b"}"),
    "a header that is deep": safetensors(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "a header that is a list": safetensors(b"[" + b" " * 8 + b"]"),
    "a header that is no JSON": safetensors(b"{" + b"x" * 30),
    "a header in another encoding": safetensors(b'{"\xff\xfe": 1}'),
    "a tensor twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
    ),
    "offsets of less than nothing": safetensors(one(data_offsets=[-8, 0]), bytes(8)),
    "offsets the wrong way": safetensors(one(data_offsets=[8, 0]), bytes(8)),
    "offsets of 2^64": safetensors(one(data_offsets=[0, 2**64]), bytes(8)),
    "offsets beyond the end": safetensors(one(data_offsets=[0, 800], shape=[200]), bytes(8)),
    "offsets that overlap": safetensors(one() | {"b": one()["mean"]}, bytes(8)),
    "offsets with a hole": safetensors(one(data_offsets=[8, 16]), bytes(16)),
    "a shape of 2^40 twice": safetensors(one(shape=[2**40, 2**40]), bytes(8)),
    "a shape of less than nothing": safetensors(one(shape=[-2]), bytes(8)),
    "a shape of nothing, of 2^62": safetensors(one(shape=[0, 2**62], data_offsets=[0, 0])),
    "a type unknown": safetensors(one(dtype="Q4"), bytes(8)),
    "a type of eight bits": safetensors(one(dtype="F8_E4M3", shape=[8]), bytes(8)),
    "metadata of numbers": safetensors({"__metadata__": {"sha256": 1}, **one()}, bytes(8)),
    "metadata that is deep": safetensors(b'{"__metadata__":{"a":' + b"[" * DEEP + b"]" * DEEP + b"}}"),
    "twenty thousand tensors of nothing": safetensors(
        {f"{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(20_000)}
    ),
    "a description that is deep": checksummed("[" * DEEP + "]" * DEEP),
    "a description that is a list": checksummed("[1, 2]"),
    "a description that is no JSON": checksummed("{"),
    "a description of nothing": checksummed("{}"),
    "a description of half letters": checksummed('{"format": "\\ud800"}'),
    "a description of a number": checksummed("1" * 5000),
    "directions without metadata": checksummed('{"format": "topdis-gan directions"}'),
    "a generator without a configuration": checksummed('{"kind": "stylegan2 generator", "version": 1}'),
    "a generator of a strange configuration": checksummed(
        '{"kind": "stylegan2 generator", "version": 1, "config": {"img_resolution": 1e300, "channels": "a"}}'
    ),
    "a generator of a version that is a table": checksummed('{"kind": "stylegan2 generator", "version": {"a": []}}'),
}

JSON = {
    "nothing": b"",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep lists that do not end": b"[" * 100_000,
    "deep tables": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep enough": b"[" * 150 + b"]" * 150,
    "a list": b"[1, 2]",
    "a number": b"7",
    "a text": b'"text"',
    "a number of ten thousand digits": b'{"step": ' + b"9" * 10_000 + b"}",
    "a number above all": b'{"step": 1e999}',
    "not a number": b'{"step": NaN}',
    "infinity": b'{"step": -Infinity}',
    "a key twice": b'{"config": 1, "config": 2}',
    "half a letter": b'{"format": "topdis-gan names", "directions": {"3": {"name": "\\ud83d", "starred": true}}}',
    "half a letter as a key": b'{"\\udc00": 1, "command": "a", "config": {"\\ud800": "\\udfff"}}',
    "names that are numbers": b'{"format": "topdis-gan names", "directions": {"3": {"name": 7}}}',
    "names of absurd numbers": b'{"format": "topdis-gan names", "directions": {"99999999999999": {"name": "a"}}}',
    "names of many lines": b'{"format": "topdis-gan names", "directions": {"a\\nb": 1}}',
    "names of a source that is a list": b'{"format": "topdis-gan names", "source": [[]], "directions": {}}',
    "configuration that is a text": b'{"command": ["a"], "config": "text"}',
    "configuration that is a list of pairs": b'{"command": {"a": 1}, "config": [["a", 1], [[], 2]]}',
    "a status of lists": b'{"state": [], "reason": {}, "time": 1, "pid": "a"}',
    "a grid of lists": b'{"version": [], "grid": [1]}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "bytes that are no text": b"\xff\xfe\xfd{",
    "a NUL": b'{"a": "\x00"}',
    "many lists": b"[" + b"[]," * 100_000 + b"[]]",
    "twenty megabytes": b'"' + b"a" * (20 << 20) + b'"',
    "lines without an end": b'{"step": 1}\n{"step": 2}',
    "a line that is a list": b'{"step": 1}\n[1]\n',
    "a line that is deep": b'{"step": 1}\n' + b"[" * DEEP + b"\n",
    "a step that is a table": b'{"step": {"a": 1}}\n',
}

TOML = {
    "nothing": b"",
    "deep lists": b"a = " + b"[" * DEEP + b"]" * DEEP,
    "deep tables": b"a = " + b"{a = " * DEEP + b"1" + b"}" * DEEP,
    "deep names": b"[" + b".".join([b"a"] * 1500) + b"]",
    "a name of 100,000 parts": b".".join([b"a"] * 100_000) + b" = 1",
    "many names of 1,000 parts": b"".join(b".".join([b"a%d" % k, *[b"b"] * 1000]) + b" = 1\n" for k in range(20)),
    "many tables of 1,000 parts": b"".join(b"[" + b".".join([b"a%d" % k, *[b"b"] * 1000]) + b"]\n" for k in range(20)),
    "many tables in tables": b"".join(b"[[a.b.c]]\n" for _ in range(20_000)),
    "many keys": b"".join(b"k%d = 1\n" % k for k in range(20_000)),
    "a key twice": b"name = 1\nname = 2\n",
    "a text that does not end": b'name = """' + b"a" * 100_000,
    "a number of ten thousand digits": b"steps = " + b"9" * 10_000,
    "a number above all": b"steps = 1e999",
    "not a number": b"shift = nan",
    "a date": b"steps = 1979-05-27T07:32:00Z",
    "a list for a number": b"steps = [1, 2]",
    "a table for a number": b"[steps]\na = 1",
    "an unknown key of many letters": b'"' + b"x" * 100_000 + b'" = 1',
    "an unknown key of many lines": b'"a\\nb" = 1',
    "a letter that is none": b'name = "\\ud800"',
    "bytes that are no text": b"\xff\xfe",
    "a NUL": b"name = \x00",
    "UTF-16": "steps = 1".encode("utf-16"),
    "a megabyte": b"# " + b"a" * (1 << 20),
    "axes that are numbers": b'name = "a"\nseeds = [0]\naxes = 1',
    "axes of a million cells": b'name = "a"\nseeds = [0]\n'
    + b"".join(b"".join(b"[axes.a%d.b%d]\n" % (axis, k) for k in range(10)) for axis in range(8)),
    "seeds of a million": b'name = "a"\nseeds = [' + b"1," * 60_000 + b"]\n[axes.a.b]\n",
    "seeds that are a number": b'name = "a"\nseeds = 3\n[axes.a.b]\n',
    "seeds that are large": b'name = "a"\nseeds = [999999999999999999999999]\n[axes.a.b]\n',
    "rules of numbers": b'name = "a"\nseeds = [0]\nwhere = [{labels = 1, settings = 2}]\n[axes.a.b]\n',
    "notes of numbers": b'name = "a"\nseeds = [0]\nnotes = 7\ncompare = 3\n[axes.a.b]\n',
}


def hostile_files():
    """Kind of file -> what is wrong -> its bytes."""
    wrapped = {
        f"{what} ({kind})": wrap(body)
        for what, body in BODIES.items()
        for kind, wrap in (("plain", plain), ("legacy", legacy), ("zip", zipped))
    }
    arrays = archives("w.npy", npy()) | {"a quarter of a gigabyte of nothing": npz_bomb(1 << 28)}
    torch_archives = archives("a/data.pkl", plain(b"}"))
    safetensors_files = {f"{what} (header)": data for what, data in SAFETENSORS.items()}
    text = {what: data for what, data in JSON.items() if "line" not in what}
    return {
        "checkpoint": wrapped
        | {f"{what} (archive)": data for what, data in torch_archives.items()}
        | safetensors_files
        | {f"{what} (array)": NPY[what] for what in ("an empty file", "pickled objects")},
        "latents": {what: data for what, data in wrapped.items() if what.endswith("(zip)")} | NPY | arrays,
        "cloud": NPY | {"an archive": arrays["no members"]},
        "directions": SAFETENSORS,
        "factors": SAFETENSORS,
        "names": text,
        "config.json": text,
        "status.json": text,
        "evaluation.json": text,
        "suite.json": text,
        "mark": text,
        "metrics": JSON,
        "config": TOML,
        "grid": TOML,
        "data-npz": dict(archives("imgs.npy", npy(descr="'|u1'")).items()),
        "data-faces": {what: data for what, data in wrapped.items() if not what.endswith("(plain)")},
    }
