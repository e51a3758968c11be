"""Random mutations of good files: flipped bits, truncation, pieces of other files, huge numbers, opcodes, brackets."""

import random
import struct

OPCODES = [
    bytes([code])
    for code in b"(012NJKMGXTUBC]})ldtaesucRbqrhjQo\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x90\x91\x93\x94"
]
PIECES = [
    b"cos\nsystem\n(X\x02\x00\x00\x00idtR",
    b"cbuiltins\nset\n",
    b"ccollections\nOrderedDict\n",
    b"h\x00\x86h\x00\x86",
    b"2\x86" * 30,
    b"(" + b"2" * 99 + b"e",
    b"\x8b\xff\xff\xff\x7f",
    b"\x95" + b"\xff" * 8,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"(" * 3000,
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b"1e999",
    b"NaN",
    b"-1",
    b"9" * 5000,
    b"\0",
    b"\n",
    b"a." * 3000,
    b"=",
    b"'shape': (",
    b"99999999999999999999,",
    b'"data_offsets":[0,',
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\x93NUMPY",
]
NUMBERS = [b"\xff\xff\xff\x7f", b"\xff" * 8, b"\xff\xff\xff\xff", b"\0\0\0\x80", struct.pack("<Q", 2**62), b"\0" * 8]


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`data` with one to four changes; `others` are what pieces are taken from."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_CHANGES)(changed, _place(changed, rng), others, rng)
    return bytes(changed)


def _place(data: bytearray, rng: random.Random) -> int:
    """Anywhere, but more often at the start and at the end, where formats keep their directories."""
    size = len(data)
    low, high = rng.choice([(0, size), (0, min(size, 400)), (max(0, size - 400), size)])
    return rng.randint(low, high)


def _flip(data, place, _, rng):
    for _ in range(rng.randint(1, 8)):
        if place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        place += rng.randint(1, 50)


def _truncate(data, place, *_):
    del data[place:]


def _cut(data, place, _, rng):
    del data[place : place + rng.randint(1, 100)]


def _insert(data, place, _, rng):
    data[place:place] = rng.randbytes(rng.randint(1, 12))


def _splice(data, place, others, rng):
    other = rng.choice(others)
    start = rng.randint(0, len(other))
    data[place : place + rng.randint(0, 200)] = other[start : start + rng.randint(1, 400)]


def _repeat(data, place, _, rng):
    data[place:place] = data[place : place + rng.randint(1, 60)] * rng.randint(1, 200)


def _number(data, place, _, rng):
    number = rng.choice(NUMBERS)
    data[place : place + len(number)] = number


def _opcodes(data, place, _, rng):
    data[place:place] = b"".join(rng.choice(OPCODES) for _ in range(rng.randint(1, 6)))


def _piece(data, place, _, rng):
    data[place:place] = rng.choice(PIECES)


_CHANGES = [_flip, _flip, _truncate, _cut, _insert, _splice, _repeat, _number, _number, _opcodes, _piece]
