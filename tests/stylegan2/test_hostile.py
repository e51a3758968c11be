import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.safe_pickle.records import Budget, Storage, TensorRef, to_array, to_tensor
from ganspace_topdis.safe_pickle.safe_unpickler import SafeUnpickler
from ganspace_topdis.safe_pickle.torch_container import read_legacy, read_zip
from stylegan2 import Generator
from stylegan2.checkpoints.recognition import parse_checkpoint
from tests.stylegan2.foreign_files import flat_tensors, tensorflow_bytes, torch_bytes
from tests.stylegan2.nvidia_files import snapshot_bytes

FORBIDDEN = ("exec", "import", "open", "os.", "socket.", "subprocess.", "shutil.", "ctypes.", "compile")
watching = False
seen = []


def _audit(event, _):
    if watching and event.startswith(FORBIDDEN):
        seen.append(event)


sys.addaudithook(_audit)


def outcome(data):
    """Return "read" or "refused". Fails on any other error, and if anything is run, imported or opened."""
    global watching
    seen.clear()
    watching = True
    try:
        checkpoint = parse_checkpoint(memoryview(data))
        Generator.from_checkpoint(checkpoint.state_dict, **checkpoint.overrides)
        result = "read"
    except CheckpointError as error:
        result = "refused" if "\n" not in str(error) else "refused at length"
    finally:
        watching = False
    assert not seen
    return result


def fixtures():
    """One small file per container."""
    torch.manual_seed(0)
    small = {"z_dim": 2, "w_dim": 2, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 16}
    generator = Generator(**small).eval().requires_grad_(False)
    Generator.from_state_dict(generator.state_dict())  # torch imports parts of itself at first use
    content = {"g_ema": flat_tensors(generator, "rosinality"), "latent_avg": torch.zeros(2)}
    return [
        snapshot_bytes(generator, protocol=2),
        snapshot_bytes(generator, protocol=4),
        tensorflow_bytes(generator),
        torch_bytes(content),
        torch_bytes(content, legacy=True),
    ]


FILES = fixtures()


def mutated(data, edits):
    data = bytearray(data)
    for place, kind, value in edits:
        position = int(place * len(data))
        if kind == "set":
            data[position : position + 1] = bytes([value])
        elif kind == "insert":
            data[position:position] = bytes([value])
        elif kind == "cut":
            del data[position : position + value]
        else:
            data[position : position + 4] = struct.pack("<I", value << 24 | value)
    return bytes(data) or b"\x80"


EDITS = st.lists(
    st.tuples(st.floats(0, 0.999), st.sampled_from(["set", "insert", "cut", "number"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)
PLAIN_CODES = b"(012NJKMGXTUBC]})ldtaesucRbqrhjQ"
LATER_CODES = b"\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x93\x94"
OPCODES = st.sampled_from(
    [bytes([code]) for code in b"(012NJKMGXTUBC]})ldtaesucRbqrhjQ\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x93\x94"]
)
STREAMS = st.lists(st.one_of(OPCODES, st.binary(max_size=6), st.just(b"cbuiltins\nset\n")), max_size=40)
COMMON = {"suppress_health_check": list(HealthCheck)}


def test_the_unchanged_files_are_read():
    assert [outcome(data) for data in FILES] == ["read"] * len(FILES)


@settings(max_examples=400, **COMMON)
@given(st.sampled_from(FILES), EDITS)
def test_mutated_files_are_read_or_refused_and_nothing_else_happens(data, edits):
    outcome(mutated(data, edits))


@settings(max_examples=100, **COMMON)
@given(STREAMS)
def test_random_opcode_streams_are_refused_and_nothing_else_happens(pieces):
    assert outcome(b"\x80\x02" + b"".join(pieces) + b".") == "refused"


@pytest.mark.slow
@settings(max_examples=20000, **COMMON)
@given(st.sampled_from(FILES), EDITS)
def test_twenty_thousand_mutated_files(data, edits):
    outcome(mutated(data, edits))


def test_the_audit_hook_sees_opened_files_and_folders():
    global watching
    seen.clear()
    watching = True
    list(Path().iterdir())
    Path(os.devnull).read_bytes()
    watching = False
    assert "open" in seen
    assert any(event.startswith("os.") for event in seen)


@pytest.mark.parametrize(
    "name", ["os\nsystem", "posix\nsystem", "builtins\neval", "torch.storage\n_load_from_byte", "subprocess\nPopen"]
)
@pytest.mark.parametrize("call", ["", "(NtR", "(Nt\x81", "(NtR(NtR", "(NtR}b"])
def test_a_global_outside_the_allowlist_is_never_run_and_is_named_in_place_of_the_generator(name, call):
    data = b"\x80\x02c" + name.encode() + b"\n" + call.encode("latin-1") + b"."
    assert outcome(data) == "refused"
    with pytest.raises(CheckpointError, match=name.replace("\n", r"\.")):
        parse_checkpoint(memoryview(data))


ATTACKS = {
    "memo index of four billion": b"\x80\x02Nr\xff\xff\xff\xff.",
    "string longer than the file": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "bytes of 2^62": b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x40.",
    "integer of two gigabytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "nesting": b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".",
    "nested tuples as a key": b"\x80\x02}N" + b"\x852\x86" * 60 + b"Ns.",
    "persistent id": b"\x80\x02NQ.",
    "instance opcode": b"\x80\x02(ios\nsystem\n.",
    "extension registry": b"\x80\x02\x82\x01.",
    "call of a string": b"\x80\x02X\x01\x00\x00\x00a)R.",
    "state on a list": b"\x80\x02]Nb.",
    "empty stack": b"\x80\x02.",
    "endless text": b"\x80\x02c" + b"a" * 100_000,
    "one text encoded again and again": b"\x80\x02X\x00\x00\x01\x00"
    + b"a" * 65536
    + b"q\x000"
    + b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0" * 2000
    + b"N.",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(name):
    assert outcome(ATTACKS[name]) == "refused"


def test_elements_are_limited():
    data = b"\x80\x02" + b"N0" * 2_000_000 + b"N."
    with pytest.raises(CheckpointError, match="elements"):
        SafeUnpickler(memoryview(data), {}, Budget(len(data))).load()


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((9,), (1,), 0), ((2, 2), (8, 1), 0), ((4,), (1,), 6), ((2**30,), (0,), 0), ((2,), (-1,), 4)],
)
def test_tensors_that_reach_beyond_their_storage_are_refused(size, stride, offset):
    with pytest.raises(CheckpointError):
        TensorRef(Storage("<f4", 8), offset, size, stride)


def test_a_tensor_without_elements_is_refused_where_it_is_used():
    empty = TensorRef(Storage("<f4", 0, memoryview(b"")), 0, (0,), (1,))
    with pytest.raises(CheckpointError, match="w is a tensor without elements"):
        to_tensor(empty, "w", Budget(100))


def test_a_tensor_shared_a_million_times_is_stopped_by_the_budget():
    shared = torch.zeros(100_000)
    content = {"g_ema": {f"style.{n}.weight": shared for n in range(1, 99)} | {"input.input": shared}}
    data = torch_bytes(content)
    with pytest.raises(CheckpointError, match="many times the bytes"):
        parse_checkpoint(memoryview(data))


def test_a_pickle_inside_a_torch_container_cannot_run_anything(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for legacy in (False, True):
        assert outcome(torch_bytes({"g_ema": Attack()}, legacy=legacy)) == "refused"
    assert outcome(pickle.dumps((1, 2, Attack()))) == "refused"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.int64])
def test_arrays_keep_the_type_of_the_file(legacy, dtype):
    tensor = torch.arange(12, dtype=dtype).reshape(3, 4)
    data = memoryview(torch_bytes(tensor, legacy=legacy))
    budget = Budget(len(data))
    array = to_array((read_legacy if legacy else read_zip)(data, budget), "images", budget)
    np.testing.assert_array_equal(array, tensor.numpy())
    assert array.dtype == tensor.numpy().dtype
