"""Pickles of tensors, read by a machine that can do nothing else.

A pickle is a program, and Python's own reader runs it: whoever wrote the file decides what is
called. This reader knows the steps that build numbers, texts, lists, dicts and tensors, and
the handful of names that PyTorch's own files use. Whatever else a file asks for by name becomes
an ``Unknown``, which is never called, imported or looked up; ``read`` tells of it in the end.
"""

import pickletools
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from numbers import Integral, Real

from tinyconv.weights.arrays import is_shape
from tinyconv.weights.errors import WeightsError

#: PyTorch's storages: what one element is in the file (see ``arrays.KINDS``)
STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "b1", "UntypedStorage": "u1",
}  # fmt: skip
_BUILTINS = ("bool", "complex", "dict", "float", "frozenset", "int", "list", "set", "slice", "str")
_DTYPES = ("float16", "bfloat16", "float32", "float64", "bool", "uint8",
           "int8", "int16", "int32", "int64")  # fmt: skip
#: names that training scripts leave in their files; their values are passed over
_HARMLESS = {
    "argparse Namespace", "collections Counter", "_codecs encode", "numpy dtype", "numpy ndarray",
    *(f"{m} {p}Path" for m in ("pathlib", "pathlib._local") for p in ("Posix", "Windows", "")),
    *(f"{m} {t}" for m in ("builtins", "__builtin__") for t in _BUILTINS),
    *(f"numpy.{c}.multiarray {n}" for c in ("core", "_core") for n in ("scalar", "_reconstruct")),
    "torch device", "torch Size", "torch Tensor", "torch.nn.parameter Parameter",
    *(f"torch {t}" for t in _DTYPES),
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
#: PyTorch's names for tensors that are sparse, quantised, complex, of 8 bits ...
_OTHER_TENSORS = (
    r"torch\._utils _rebuild_\w+|torch\.serialization _get_layout|"
    r"torch (\w+Storage|(complex|float|q?u?int)\d\w*)"
)
_MOST_STEPS = 10_000_000  # a state of ten thousand tensors takes one of them
KEYS = "keys are dtypes, texts, numbers below 2**63, None and short tuples of the latter"
_LONGEST_KEY, _DEEPEST_KEY = 16, 3  # tuples
_MOST_ALIKE = 64  # keys of one hash: -1 and -2 have the same, and so have tuples of them


@dataclass(eq=False)
class Storage:
    """Numbers that lie elsewhere in the file: ``numel`` elements of ``kind`` under ``key``."""

    kind: str
    key: str
    numel: int
    view: tuple | None = None  # (key, offset, numel) inside an older file's storage


@dataclass(eq=False)
class TensorView:
    """A tensor: a storage, and where in it which element lies; ``what`` it was when it was saved,
    a ``'tensor'``, ``'parameter'`` or bare ``'array'``, and whether it required grad."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple
    grad: bool = False
    what: str = "tensor"


@dataclass(eq=False)
class Unknown:
    """Something that a file asks for and that is not made: the name of it."""

    name: str


def read(file):
    """The value of the pickle at a file's place; nothing in it is executed.

    Args:
        file: an open binary file, left behind the pickle.

    Returns:
        dicts, lists, tuples, numbers and texts, ``TensorView`` for tensors, ``Unknown`` for
        what training scripts leave beside them.

    Raises:
        WeightsError: if it asks for anything else, naming that; or is cut or senseless.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count == _MOST_STEPS:
                raise WeightsError(f"the pickle has more than {count:,} instructions")
            machine.step(opcode.name, argument)
        value = machine.take(1)[0]
    except WeightsError:
        machine.check_names()  # what a file asks for tells more than where it went wrong
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, EOFError) as error:
        machine.check_names()
        raise WeightsError(f"the pickle is cut or senseless ({_first_line(error)})") from None
    machine.check_names()
    return value


class _Machine:
    def __init__(self):
        self.stack, self.marks, self.memo, self.names = [], [], {}, {}
        self.tuples = {}  # hash -> those among the keys that have it

    def step(self, name, argument):
        """One instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack.append(tuple(self.take(_TUPLES[name])))
        else:
            method = getattr(self, f"op_{name.lower()}", None)
            if method is None:
                raise WeightsError(f"the pickle has a {name} instruction, which no weights need")
            method(argument)

    def take(self, count):
        """The topmost values, the last of them on top."""
        if count > len(self.stack) - (self.marks[-1] if self.marks else 0):
            raise IndexError("its stack is empty")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def take_marked(self):
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def op_proto(self, version):
        if version > 5:
            raise ValueError(f"protocol {version}")

    def op_frame(self, length):
        pass

    op_stop = op_frame

    def op_mark(self, _):
        self.marks.append(len(self.stack))

    def op_pop(self, _):
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.take(1)

    def op_pop_mark(self, _):
        self.take_marked()

    def op_dup(self, _):
        self.stack.append(self.stack[-1])

    def op_binput(self, key):
        if not 0 <= key < 2**32:
            raise ValueError("a senseless place in its memo")
        self.memo[key] = self.stack[-1]

    op_put = op_long_binput = op_binput

    def op_memoize(self, _):
        self.memo[len(self.memo)] = self.stack[-1]

    def op_binget(self, key):
        self.stack.append(self.memo[key])

    op_get = op_long_binget = op_binget

    # -- containers --------------------------------------------------------------------
    def op_tuple(self, _):
        self.stack.append(tuple(self.take_marked()))

    def op_list(self, _):
        self.stack.append(self.take_marked())

    def op_dict(self, _):
        pairs = self.take_marked()
        self.stack.append({})
        self.set_items(pairs)

    def op_append(self, _):
        self.extend(self.take(1))

    def op_appends(self, _):
        self.extend(self.take_marked())

    def extend(self, values):
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Unknown):
            raise TypeError(f"appends to a {type(target).__name__}")

    def op_setitem(self, _):
        self.set_items(self.take(2))

    def op_setitems(self, _):
        self.set_items(self.take_marked())

    def set_items(self, pairs):
        target = self.stack[-1]
        if not isinstance(target, (dict, Unknown)):
            raise TypeError(f"sets an item of a {type(target).__name__}")
        if isinstance(target, dict):
            target.update(zip(map(self.key, pairs[::2]), pairs[1::2], strict=True))

    def key(self, value):
        """The value, if it may be hashed: whoever wrote the file can have chosen tuples and long
        numbers that all have the same hash, or such that take for ever."""
        if not is_key(value, Unknown):
            raise WeightsError(f"has a key of type {type(value).__name__}; {KEYS}")
        if isinstance(value, tuple):
            alike = self.tuples.setdefault(hash(value), [])
            if value not in alike:
                alike.append(value)
            if len(alike) > _MOST_ALIKE:
                raise WeightsError("has keys that are all hashed alike")
        return value

    def collection(self, kind, values=()):
        """A set, or an ``OrderedDict``, which older files give its items at once."""
        if kind is OrderedDict:
            return kind((self.key(k), v) for k, v in values)
        return kind(map(self.key, values))

    # -- names -------------------------------------------------------------------------
    def op_global(self, name):
        """A name, as 'module name': kept, and not looked up."""
        self.names[name] = None
        self.stack.append(Unknown(name))

    def op_stack_global(self, _):
        module, name = self.take(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self.op_global(f"{module} {name}")

    def op_reduce(self, _):
        function, arguments = self.take(2)
        if not isinstance(function, Unknown) or not isinstance(arguments, tuple):
            raise TypeError("calls what is no function")
        if function.name in _COLLECTIONS:
            value = self.collection(_COLLECTIONS[function.name], *arguments)
        else:
            value = _BUILDERS.get(function.name, lambda *_: Unknown(function.name))(*arguments)
        self.stack.append(value)

    op_newobj = op_reduce

    def op_build(self, _):
        """The state of an object: of a dict it is only PyTorch's notes on versions."""
        target = self.take(2)[0]
        if not isinstance(target, (dict, Unknown)):
            raise TypeError(f"sets the state of a {type(target).__name__}")
        self.stack.append(target)

    def op_binpersid(self, _):
        self.stack.append(_storage(self.take(1)[0]))

    def check_names(self):
        """Raise ``WeightsError`` if the file asks for what is not PyTorch's way to keep tensors."""
        strange = [name for name in self.names if name not in _KNOWN]
        if not strange:
            return
        spelled = ", ".join(n.replace(" ", ".") for n in strange[:3])
        spelled += f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        if any(n.startswith(("torch.nn.modules.", "torchvision.models.")) for n in strange):
            raise WeightsError(
                "holds a whole module, not a state dict; save model.state_dict() (it names "
                f"{spelled})"
            )
        if all(re.fullmatch(_OTHER_TENSORS, n) for n in strange):
            raise WeightsError(f"has a tensor of a kind that is not read: {spelled}")
        raise WeightsError(
            f"asks for {spelled}, which no weights need; a reader that runs pickles would call it. "
            "Nothing was run"
        )


def _storage(identity):
    """What a persistent id names: ('storage', its type, key, device, numel[, view])."""
    if not isinstance(identity, tuple) or identity[:1] == ("module",):
        raise WeightsError("holds a whole module, not a state dict; save model.state_dict()")
    word, kind, key, _, numel, *view = identity
    name = kind.name.split(" ")[-1] if isinstance(kind, Unknown) else None
    if word != "storage" or name not in STORAGES:
        raise WeightsError(f"has a storage of an unknown type, {name or type(kind).__name__}")
    if not isinstance(key, str) or not _is_number(numel):
        raise ValueError("a storage without name or length")
    return Storage(STORAGES[name], key, numel, _checked_view(*view))


def is_key(value, others=(), depth=_DEEPEST_KEY):
    """Whether dicts and sets are written and read that have it (see ``KEYS``)."""
    if isinstance(value, tuple):
        short = depth > 0 and len(value) <= _LONGEST_KEY
        return short and all(is_key(v, (), depth - 1) for v in value)
    if isinstance(value, Integral):  # NumPy's, too
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, (str, bytes, Real, others))


def _is_number(value):
    """Whether it can count elements."""
    return type(value) is int and 0 <= value < 2**63


def _checked_view(view=None):
    if view is None:
        return None
    key, offset, numel = view
    if not (isinstance(key, str) and _is_number(offset) and _is_number(numel)):
        raise ValueError("a view of a storage without place or length")
    return key, offset, numel


def _tensor(storage, offset, size, stride, grad=False, hooks=(), notes=None):
    """``torch._utils._rebuild_tensor`` and its newer form, which adds grad and hooks; instead of
    hooks ``tinyconv.save`` writes None for bare arrays."""
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    if len(size) != len(stride):
        raise WeightsError(f"a tensor has {len(size)} dimensions and {len(stride)} strides")
    if not (is_shape(size) and all(map(_is_number, (offset, *stride)))):
        raise WeightsError("a tensor has a negative or senseless size, stride or offset")
    if notes:  # that its numbers are to be negated or conjugated
        raise WeightsError("a tensor is a view that changes signs: save what clone() gives")
    what = "array" if hooks is None else "tensor"
    return TensorView(storage, offset, tuple(size), tuple(stride), grad is True, what)


def _parameter(tensor, grad=False, *_):
    if not isinstance(tensor, TensorView):
        raise TypeError("a parameter that is no tensor")
    return replace(tensor, grad=grad is True, what="parameter")


def _typed(function, kind, arguments, *_):
    """``torch._tensor._rebuild_from_type_v2``: a tensor to which attributes were given."""
    build = _BUILDERS.get(function.name) if isinstance(function, Unknown) else None
    if build not in (_tensor, _parameter):
        raise TypeError("a tensor of an unknown type")
    return build(*arguments)


def _encoded(text, coding):
    """How bytes are kept in the protocol that PyTorch writes."""
    if coding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes as {coding!r}")
    return text.encode("latin1")


def _size(numbers=()):
    return tuple(numbers)


def _default_dict(*_):
    return {}


_BUILDERS = {
    "collections defaultdict": _default_dict,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
    "torch._tensor _rebuild_from_type_v2": _typed,
    "_codecs encode": _encoded,
    "torch Size": _size,
}
_COLLECTIONS = {
    "collections OrderedDict": OrderedDict,
    **{f"{m} {t.__name__}": t for m in ("builtins", "__builtin__") for t in (set, frozenset)},
}
_MODULES = ("torch", "torch.cuda", "torch.storage")
_KNOWN = {*_BUILDERS, *_COLLECTIONS, *_HARMLESS, *(f"{m} {s}" for m in _MODULES for s in STORAGES)}


def _first_line(error):
    return str(error).split("\n")[0][:100] or type(error).__name__
