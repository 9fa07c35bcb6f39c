"""Files of PyTorch's made byte by byte, without PyTorch: also such as it would never write."""

import zipfile

import numpy as np


def name(module, word):
    """GLOBAL: something by its name."""
    return f"c{module}\n{word}\n".encode()


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def tuple_(*parts):
    return b"(" + b"".join(parts) + b"t"


def call(function, *arguments):
    return function + tuple_(*arguments) + b"R"


def storage(key, numel, kind="FloatStorage", module="torch", view=b""):
    parts = text("storage"), name(module, kind), text(key), text("cpu"), number(numel)
    return tuple_(*parts, *([view] if view else [])) + b"Q"


def tensor(stored, size, stride, offset=0, function="_rebuild_tensor_v2"):
    tail = [b"\x89", call(name("collections", "OrderedDict"))] if function.endswith("v2") else []
    return call(
        name("torch._utils", function), stored, number(offset), tuple_(*map(number, size)),
        tuple_(*map(number, stride)), *tail,
    )  # fmt: skip


def state(**entries):
    """A dict; '__' in a name stands for '.'."""
    return b"}(" + b"".join(text(k.replace("__", ".")) + v for k, v in entries.items()) + b"u"


def pickled(body):
    return b"\x80\x02" + body + b"."


def write_zip(path, body, storages, byteorder=None, compression=zipfile.ZIP_STORED):
    """What ``torch.save`` writes: storages is key -> bytes or array."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled(body))
        if byteorder:
            file.writestr("archive/byteorder", byteorder)
        for key, content in storages.items():
            file.writestr(f"archive/data/{key}", np.asarray(content).tobytes())
    return path


def write_legacy(path, body, storages, little=True):
    """What ``torch.save`` wrote before 1.6: storages is key -> array."""
    order = "little" if little else "big"
    machine = state(little_endian=b"\x88" if little else b"\x89")
    magic = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    keys = b"](" + b"".join(text(key) for key in storages) + b"e"
    parts = [magic, pickled(number(1001)), pickled(machine), pickled(body), pickled(keys)]
    for content in storages.values():
        parts += [content.size.to_bytes(8, order), content.tobytes()]
    path.write_bytes(b"".join(parts))
    return path
