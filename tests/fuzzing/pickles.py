"""Hostile pickles, written opcode by opcode, and the containers that they can lie in."""

import io
import pickle
import struct
import zipfile

HEAD = b"\x80\x02"
MAGIC = 0x1950A86A20F9469CFC6C
PRIME = 2**61 - 1
"""Whole numbers that differ by a multiple of it have the same hash in CPython."""


def text(value):
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<I", len(data)) + data


def together(*parts):
    return b"(" + b"".join(parts) + b"t"


def listed(*parts):
    return b"](" + b"".join(parts) + b"e"


def table(**entries):
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def name(full):
    module, _, last = full.rpartition(".")
    return b"c" + module.encode() + b"\n" + last.encode() + b"\n"


def call(full, *args):
    return name(full) + together(*args) + b"R"


def put(index):
    return b"r" + struct.pack("<I", index)


def get(index):
    return b"j" + struct.pack("<I", index)


def laughs(make, times=40):
    """A value that holds its predecessor twice, again and again; `make` is b"\\x86" (a pair) or of a kind like it."""
    return b"N" + b"".join(b"2" + make for _ in range(times))


def again(start, step, times):
    """`start` remembered as number 0, then `step` again and again, each thrown away."""
    return start + put(0) + b"0" + step * times + b"N"


def colliding(count):
    return b"".join(integer(k * PRIME) + b"N" for k in range(1, count))


def tensor(storage=None, offset=b"K\x00", size=None, stride=None):
    storage = persistent() if storage is None else storage
    size, stride = size or together(b"K\x02"), stride or together(b"K\x01")
    return call("torch._utils._rebuild_tensor_v2", storage, offset, size, stride, b"\x89", b"}")


def persistent(kind="torch.FloatStorage", key="0", numel=b"K\x02"):
    return together(text("storage"), name(kind), text(key), text("cpu"), numel) + b"Q"


def network(state, class_name=None):
    meta = table(type=text("class"), class_name=class_name or text("Generator"), state=state)
    return call("torch_utils.persistence._reconstruct_persistent_obj", meta)


def in_g_ema(value):
    return table(g_ema=table(**{"input.input": value, "style.1.weight": value}))


def array(shape=b"K\x02\x85", dtype="f4", data=b"C\x08" + bytes(8), order=b"\x89"):
    made = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), b"K\x00\x85", b"C\x01b")
    kind = call("numpy.dtype", text(dtype), b"K\x00", b"K\x01")
    return made + together(b"K\x01", shape, kind, order, data) + b"b"


def layer(**attributes):
    children = table(b4=network(table(_modules=b"}", **attributes)))
    tensors = table(const=tensor())
    block = network(table(_modules=table(b4=network(table(_modules=b"}", _parameters=tensors, **attributes)))))
    return table(G_ema=network(table(_modules=table(synthesis=block, mapping=network(table(_modules=children))))))


def tensorflow(variables=b"]", **settings):
    def net(state):
        return name("dnnlib.tflib.network.Network") + b")\x81" + state + b"b"

    part = net(table(variables=variables, static_kwargs=b"}", components=b"}", version=b"K\x04"))
    parts = table(mapping=part, synthesis=part)
    top = table(variables=variables, static_kwargs=table(**settings), components=parts, version=b"K\x04")
    return together(b"N", b"N", net(top))


THOUSAND = listed(*(together(integer(k), b"N") for k in range(1000)))
PAIR = b"\x86"
DEEP = 20_000
LONG_TEXT = text("a" * 65536)
ORDERED = "collections.OrderedDict"

BODIES = {
    # the same list or text, given to an allowed function again and again
    "OrderedDict of one list": again(THOUSAND, name(ORDERED) + get(0) + b"\x85R0", 2000),
    "OrderedDict of one list, kept": again(THOUSAND, name(ORDERED) + get(0) + b"\x85R", 2000),
    "dict of one list": again(THOUSAND, name("builtins.dict") + get(0) + b"\x85R", 2000),
    "EasyDict of one list": again(THOUSAND, name("dnnlib.util.EasyDict") + get(0) + b"\x85R", 2000),
    "set of one list": again(listed(*map(integer, range(1000))), name("builtins.set") + get(0) + b"\x85R", 2000),
    "frozenset of one list": again(
        listed(*map(integer, range(999))), name("builtins.frozenset") + get(0) + b"\x85R", 2000
    ),
    "torch.Size of one list": again(together(*map(integer, range(1000))), name("torch.Size") + get(0) + b"\x85R", 2000),
    "arguments of one tuple": again(together(*[b"N"] * 5000), name("builtins.dict") + get(0) + b"R", 2000),
    "arguments of one tuple, unknown": again(together(*[b"N"] * 5000), name("a.b") + get(0) + b"R", 2000),
    "objects of one tuple": again(together(*[b"N"] * 5000), name("a.b") + get(0) + b"\x81", 2000),
    "one text encoded": again(LONG_TEXT, name("_codecs.encode") + get(0) + text("latin1") + b"\x86R", 2000),
    "one bytearray of text": again(LONG_TEXT, name("builtins.bytearray") + get(0) + text("latin-1") + b"\x86R", 2000),
    "one text as a scalar": again(LONG_TEXT, name("numpy.core.multiarray.scalar") + b"N" + get(0) + b"\x86R0", 2000),
    "sizes of a tensor": again(together(*map(integer, range(5000))), tensor(size=get(0), stride=get(0)) + b"0", 50),
    "a tensor of a tensor's kind": call("torch._tensor._rebuild_from_type_v2", *[b"N"] * 4),
    # containers that hold themselves, or each other many times
    "tuples of two": laughs(PAIR),
    "tuples of two as a key": b"}" + laughs(PAIR) + b"Ns",
    "tuples of two in a set": b"\x8f(" + laughs(PAIR) + b"\x90",
    "tuples of two as weights": in_g_ema(laughs(PAIR)),
    "tuples of two as a size": in_g_ema(tensor(size=laughs(PAIR))),
    "tuples of two as an offset": in_g_ema(tensor(offset=laughs(PAIR))),
    "tuples of two as a storage": in_g_ema(tensor(storage=laughs(PAIR))),
    "tuples of two as a count": in_g_ema(tensor(storage=persistent(numel=laughs(PAIR)))),
    "tuples of two as a clamp": layer(conv_clamp=laughs(PAIR)),
    "tuples of two as an activation": layer(activation=laughs(PAIR)),
    "tuples of two as a class": table(G_ema=network(table(_modules=b"}"), class_name=laughs(PAIR))),
    "tuples of two as a mean style": table(latent_avg=laughs(PAIR)),
    "tuples of two as an array": in_g_ema(array(shape=laughs(PAIR))),
    "tuples of two as a state": name("a.B") + b")\x81" + laughs(PAIR) + b"b",
    "tuples of two as variables": tensorflow(laughs(PAIR)),
    "tuples of two as a setting": tensorflow(nonlinearity=laughs(PAIR)),
    "tuples of two as taps": tensorflow(resample_kernel=laughs(PAIR)),
    "a thousand taps": tensorflow(resample_kernel=listed(*[b"K\x01"] * 20_000)),
    "a list in itself": b"]" + put(0) + get(0) + b"a",
    "a list in itself a thousand times": b"]" + put(0) + b"(" + get(0) * 1000 + b"e",
    "a table in itself": b"}" + put(0) + text("G_ema") + get(0) + b"s" + text("models") + get(0) + b"s",
    "a network that is its own child": b"}"
    + put(0)
    + table(G_ema=network(get(0)))
    + get(0)
    + text("_modules")
    + table(a=b"N", b=b"N")
    + b"s0"
    + b"\x86",
    "an object as its own state": name("a.B") + b")\x81" + put(0) + get(0) + b"b",
    "one list appended to itself": b"]N" + b"a" + put(0) + (b"(" + get(0) * 100 + b"e") * 200,
    "copies of the top": b"N" + b"2" * DEEP + b"t",
    "copies of the top in a list": b"]" + b"(N" + b"2" * DEEP + b"e",
    "a tuple of everything, twice and twice": b"(" + b"N" * 3000 + b"t" + b"2\x86" * 30,
    "sets without end": b"(" + b"\x8f" * DEEP + b"t",
    "tables without end": b"(" + b"}" * DEEP + b"t",
    "marks without end": b"(" * DEEP,
    "many memos": b"N" + b"\x94" * DEEP,
    # depth
    "deep lists": b"](" * DEEP + b"e" * DEEP,
    "deep tuples": b"N" + b"\x85" * DEEP,
    "deep tables": b"}" + text("g_ema") + b"}" * 1 + (text("g_ema") + b"}") * 5000 + b"s" * 5001,
    "deep objects": name("a.B") + put(0) + b")R" + (b"\x85" + get(0) + b"0" + name("a.B") + b"0") * 2000,
    "deep calls": b"".join([name("a.B") + b"("] * 5000) + b"tR" * 5000,
    "deep states": (name("a.B") + b")\x81") * 5000 + b"b" * 4999,
    "deep tensors of a kind": b"".join(
        [name("torch._tensor._rebuild_from_type_v2") + b"(" + name("torch._tensor._rebuild_from_type_v2") + b"N("]
        * 3000
    )
    + b"ttR" * 3000,
    "deep networks": b"".join([b"}" + text("_modules") + b"}" + text("a")] * 300) + b"N" + b"ss" * 300,
    # keys that share a hash
    "keys of one hash": b"}(" + colliding(9000) + b"u",
    "a set of one hash": b"\x8f(" + colliding(9000).replace(b"N", b"") + b"\x90",
    "a frozenset of one hash": b"(" + colliding(9000).replace(b"N", b"") + b"\x91",
    "a dictionary of one hash": b"(" + colliding(9000) + b"d",
    "an OrderedDict of one hash": call(ORDERED, listed(*(together(integer(k * PRIME), b"N") for k in range(1, 9000)))),
    # lengths and numbers
    "LONG4 of 2^31": b"\x8b\xff\xff\xff\x7f",
    "LONG4 of less than nothing": b"\x8b\xff\xff\xff\xff",
    "LONG1 of 255 bytes": b"\x8a\xff" + b"\x7f" * 255,
    "BINUNICODE8 of 2^63": b"\x8d" + b"\xff" * 8,
    "BINBYTES8 of 2^62": b"\x8e" + struct.pack("<Q", 2**62),
    "BYTEARRAY8 of 2^40": b"\x96" + struct.pack("<Q", 2**40),
    "BINSTRING of less than nothing": b"T\xff\xff\xff\xff",
    "a frame of 2^63": b"\x95" + b"\xff" * 8 + b"N",
    "a frame of nothing": b"\x95" + bytes(8) + b"N",
    "another protocol within": b"\x80\xffN",
    "a memo of four billion": b"Nr\xff\xff\xff\xff",
    "a memo that is missing": b"h\x07",
    "a text of many large letters": text("\U0001f600" * 500_000),
    "a text that is no text": b"X\x04\x00\x00\x00\xff\xfe\xfd\xfc",
    "half a letter as a name": table(g_ema=b"}" + text(b"input.input\xed\xa0\x80") + b"Ns"),
    "a name of a megabyte": b"c" + b"a" * (1 << 20) + b"\nb\n",
    "a name of lines": name("a.b") + b"0" + b"\x8c\x03a\nb\x8c\x03c\nd\x93",
    "a number above all": in_g_ema(b"\x8a\x40" + b"\x7f" * 64),
    "a float above all": in_g_ema(b"G\x7f\xf0" + bytes(6)),
    # tensors and arrays
    "a tensor of 2^39": in_g_ema(tensor(size=together(integer(2**39)))),
    "a tensor of 10^30": in_g_ema(tensor(size=together(integer(10**30)))),
    "a tensor repeated by a stride of 0": in_g_ema(tensor(size=together(integer(2**30)), stride=together(b"K\x00"))),
    "a tensor before its storage": in_g_ema(tensor(offset=integer(-1))),
    "a tensor of floats": in_g_ema(tensor(size=together(b"G" + struct.pack(">d", 2.0)))),
    "a tensor of truth": in_g_ema(tensor(size=together(b"\x88"))),
    "a tensor of forty axes": in_g_ema(tensor(size=together(*[b"K\x01"] * 40), stride=together(*[b"K\x00"] * 40))),
    "a storage of 2^62": in_g_ema(tensor(storage=persistent(numel=integer(2**62)))),
    "a storage of less than nothing": in_g_ema(tensor(storage=persistent(numel=integer(-2)))),
    "a storage of a type unknown": in_g_ema(tensor(storage=persistent(kind="torch.QInt8Storage"))),
    "a storage that is missing": in_g_ema(tensor(storage=persistent(key="../../0"))),
    "a persistent id of nothing": b"NQ",
    "a persistent id of a module": together(text("module"), b"N", b"N", b"N") + b"Q",
    "bytes of a storage that are none": call("torch.storage._load_from_bytes", b"C\x04abcd"),
    "bytes of a storage that are a number": call("torch.storage._load_from_bytes", b"K\x01"),
    "an array of objects": in_g_ema(array(dtype="O8")),
    "an array of structures": in_g_ema(array(dtype="V8")),
    "an array of less than nothing": in_g_ema(array(shape=integer(-1) + b"\x85")),
    "an array of 2^62": in_g_ema(array(shape=together(integer(2**31), integer(2**31)))),
    "an array without bytes": in_g_ema(array(data=b"N")),
    "an array of no state": call("numpy.core.multiarray._reconstruct", b"N"),
    # what Python's own unpickler would run
    "os.system": call("os.system", text("touch ran")),
    "posix.system in the weights": in_g_ema(call("posix.system", text("touch ran"))),
    "eval": call("builtins.eval", text("1/0")),
    "exec by an object": name("builtins.exec") + together(text("1/0")) + b"\x81",
    "an import by its name": call("builtins.__import__", text("antigravity")),
    "a call of what a call gave": call("operator.attrgetter", text("system")) + together(b"N") + b"R",
    "torch.load by its name": call("torch.load", text("other.pt")),
    "a state that is set": name("a.B") + b")\x81" + table(__setstate__=name("os.system")) + b"b",
    "an extension": b"\x82\x01",
    "an instance": b"(ios\nsystem\n",
    "an object of old": b"(" + name("os.system") + b"o",
    "a text at the end": name("os.system"),
}
"""Pickles without their protocol and stop."""


def plain(body):
    return HEAD + body + b"."


def legacy(body):
    """In the container of torch before 1.6, with one storage of two numbers."""
    head = b"".join(pickle.dumps(each, 2) for each in (MAGIC, 1001, {"little_endian": True}))
    return head + HEAD + body + b"." + pickle.dumps(["0"], 2) + struct.pack("<q", 2) + bytes(8)


def zipped(body):
    """In the container of torch since 1.6, with one storage of two numbers."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", HEAD + body + b".")
        archive.writestr("a/data/0", bytes(8))
    return buffer.getvalue()
