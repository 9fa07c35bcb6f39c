"""Tensor: an array, and where it came from.

The arithmetic is not here. ``tinyconv.ops.methods`` attaches it, so that the
engine can be read without knowing a single op.
"""

import itertools
import weakref

import numpy as np

from tinyconv.autograd.modes import settle, state

#: dtypes that a Tensor may have; under ``modes.complex_step`` complex128 too
_DTYPES = frozenset(
    np.dtype(name) for name in "float32 float64 bool uint8 int8 int16 int32 int64".split()
)
_default_dtype = np.dtype(np.float32)
#: the attribute of a leaf that holds its post-accumulate hooks
AFTER_GRAD = "_after_grad"
_new = object.__new__


def set_default_dtype(dtype) -> None:
    """Set the dtype that Python floats become: float32 (default) or float64.

    Raises:
        TypeError: for any other dtype.

    >>> import tinyconv as tc
    >>> tc.set_default_dtype(tc.float64); tc.tensor(1.0).dtype
    dtype('float64')
    >>> tc.set_default_dtype(tc.float32)
    """
    global _default_dtype
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"set_default_dtype: got {dtype}, wants float32 or float64")
    _default_dtype = dtype


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats become.

    >>> import tinyconv as tc
    >>> tc.get_default_dtype()
    dtype('float32')
    """
    return _default_dtype


def check_dtype(dtype):
    """Raise TypeError for a dtype that no Tensor can have."""
    if dtype in _DTYPES or (state.complex_step and dtype == np.complex128):
        return
    if dtype.kind == "c":
        raise TypeError(
            f"got {dtype}: tinyconv computes in float32 and float64; complex128 tensors serve "
            "complex-step gradient checks only (tinyconv.testing)"
        )
    raise TypeError(
        f"Tensor: dtype {dtype} is not supported; tinyconv computes in float32 and float64, "
        "with integers as indices and bool as masks"
    )


class Tensor:
    """A NumPy array that remembers the op that made it.

    Args:
        data: array (kept without a copy), or numbers in nested lists (as the
            default dtype, as PyTorch's ``Tensor`` does); or sizes, ``Tensor(2, 3)``: zeros.
        requires_grad: record what is computed from it.

    ``array`` is the raw ndarray that kernels see. ``data`` and ``detach()`` are
    Tensors on the same memory; ``numpy()`` refuses a tensor that requires grad.
    ``grad`` is None until ``backward`` fills it.

    >>> import tinyconv as tc
    >>> x = tc.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = (
        "array", "_grad", "grad_fn", "output_nr", "_requires_grad", "_counter", "_hooks",
        "_retains", "_later", "_sharing", "__weakref__", "__dict__",
    )  # fmt: skip
    #: NumPy must leave ``ndarray * Tensor`` to ``Tensor.__rmul__``
    __array_ufunc__ = None

    def __init__(self, data=(), *size, requires_grad=False):
        if type(data) is int:  # PyTorch's oldest way to make one
            data, size = np.zeros((data, *size), _default_dtype), ()
        if size:
            raise TypeError(f"Tensor: wants one array or list, or sizes alone, got {len(size) + 1}")
        other = data if isinstance(data, Tensor) else None
        if other is not None:
            data = data.array
        elif not isinstance(data, (np.ndarray, np.generic)):
            data = np.asarray(data, _default_dtype)
        check_dtype(data.dtype)
        # a view of its own: two Tensors never share one ndarray object, so the
        # engine can tell by identity which input a saved array was
        self._init(np.asarray(data)[...])
        if other is not None:
            self._share(other)
        else:
            self._share_array()  # the caller has it
        if requires_grad:
            self.requires_grad = True

    def _init(self, array, counter=None):
        self.array = array
        self._grad = None
        self.grad_fn = None
        self.output_nr = 0
        self._requires_grad = False
        self._counter = [0] if counter is None else counter
        self._hooks = None
        self._retains = False

    @classmethod
    def _wrap(cls, array, counter=None):
        """A Tensor on ``array`` without any check; ``counter`` is shared by aliases."""
        # ``_init`` written out: every op makes a Tensor here
        self = _new(cls)
        self.array = array
        self._grad = self.grad_fn = self._hooks = None
        self.output_nr = 0
        self._requires_grad = self._retains = False
        self._counter = [0] if counter is None else counter
        return self

    # Tensors that share memory share its version counter, and each holds the list that stands
    # behind the version there: so it is known whether others do (``ops.inplace.is_seen``). Is
    # that list not empty, the memory was given away as an array, too.
    def _share(self, other):
        """Note that ``self`` is on the memory of ``other``."""
        counter = self._counter = other._counter
        if len(counter) == 1:
            counter.append([])
        self._sharing = other._sharing = counter[1]

    def _share_array(self):
        """Note that an array elsewhere is on this memory."""
        self._share(self)
        if not self._sharing:
            self._sharing.append(True)

    def _alias(self, array):
        """The Tensor without history on ``array``, which is on the memory of ``self``."""
        alias = Tensor._wrap(array)
        alias._share(self)
        return alias

    # -- what it is -----------------------------------------------------------------
    @property
    def shape(self):
        return self.array.shape

    @property
    def dtype(self):
        return self.array.dtype

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def requires_grad(self):
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag):
        flag = bool(flag)
        if flag and self.array.dtype.kind not in "fc":
            raise RuntimeError(f"only floating point tensors can require grad, not {self.dtype}")
        if self.grad_fn is not None and not flag:
            raise RuntimeError("requires_grad can be cleared on leaves only; use .detach()")
        self._requires_grad = flag

    def requires_grad_(self, requires_grad=True):
        """Set ``requires_grad`` in place and return self."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self):
        """True for what the user made, False for what an op recorded."""
        return self.grad_fn is None

    @property
    def _version(self):
        return self._counter[0]

    def _bump(self):
        """Note that the values changed: every real write calls this."""
        self._counter[0] += 1

    # -- the same memory, other tensor ------------------------------------------------
    def detach(self):
        """The same memory as a leaf without history."""
        return self._alias(self.array[...])

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        settle()
        self._bump()  # for graphs that saved the old values
        other = value if isinstance(value, Tensor) else Tensor(value)
        self.array = other.array[...]
        self._share(other)

    def numpy(self, *, force=False):
        """The values as an ndarray on the same memory.

        Raises:
            RuntimeError: if the tensor requires grad (``.detach().numpy()`` says you mean it, as
                does ``force=True``).
        """
        if self._requires_grad and not force:
            raise RuntimeError(
                "numpy() on a Tensor that requires grad would lose its history silently: "
                "use .detach().numpy()"
            )
        settle()  # what is given away may be written into
        self._share_array()
        return self.array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    # -- gradients ------------------------------------------------------------------
    @property
    def grad(self):
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: wants a Tensor or None, got {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype:
                raise RuntimeError(
                    f"grad: {value.dtype} of shape {list(value.shape)} for a tensor of "
                    f"{self.dtype} and shape {list(self.shape)}; they must be equal"
                )
        self._grad = value

    def retain_grad(self):
        """Keep ``.grad`` of this non-leaf after ``backward``."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require grad")
        if self.grad_fn is not None and not self._retains:
            self._retains = True
            node = self.grad_fn
            node.retains = node.retains or {}
            node.retains.setdefault(self.output_nr, []).append(weakref.ref(self))

    def register_hook(self, hook):
        """Call ``hook(grad)`` when this tensor's gradient is known.

        A hook may return a new gradient to be used instead. Returns a handle with
        ``remove()``.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: this tensor does not require grad")
        if self.grad_fn is not None:
            node = self.grad_fn
            node.hooks = node.hooks or {}
            hooks = node.hooks.setdefault(self.output_nr, {})
        else:
            if self._hooks is None:
                self._hooks = {}
            hooks = self._hooks
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Call ``hook(tensor)`` after ``backward`` added to this leaf's ``.grad``.

        Returns a handle with ``remove()``.
        """
        if not self._requires_grad or self.grad_fn is not None:
            raise RuntimeError(
                "register_post_accumulate_grad_hook: wants a leaf that requires grad, whose .grad "
                "is filled; register_hook serves others"
            )
        return RemovableHandle(self.__dict__.setdefault(AFTER_GRAD, {}), hook)

    @property
    def retains_grad(self):
        """Whether ``retain_grad`` was called on this non-leaf."""
        return self._retains

    def __copy__(self):
        return self.__deepcopy__({})

    def __deepcopy__(self, memo):
        if self.grad_fn is not None:
            raise RuntimeError(
                "only leaf tensors can be copied with copy.deepcopy: use .detach().clone()"
            )
        array = self.array.copy()  # looked at first: the type of what waits changes with that
        new = type(self).__new__(type(self))
        new._init(array)
        new._requires_grad = self._requires_grad
        new.__dict__.update(self.__dict__)
        new.__dict__.pop(AFTER_GRAD, None)
        if self._grad is not None:
            new._grad = Tensor._wrap(self._grad.array.copy())
        memo[id(self)] = new
        return new

    def __reduce__(self):
        array = np.asarray(self.array, order="C")  # first, as above
        return (_rebuild, (type(self), array, self._requires_grad))

    # identity, not value: Tensors are keys of the engine's tables (``==`` compares values)
    __hash__ = object.__hash__


def _rebuild(cls, array, requires_grad):
    tensor = cls._wrap(array)
    tensor._requires_grad = requires_grad
    return tensor


_handle_number = itertools.count()


class RemovableHandle:
    """What the ``register_*`` methods return: ``remove()`` takes the hook away again."""

    def __init__(self, hooks, hook):
        # the table does not hold the handle, so a graph with hooks dies by counting too
        self._hooks, self._key = hooks, next(_handle_number)
        hooks[self._key] = hook

    def remove(self):
        self._hooks.pop(self._key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def meta(node, output_nr):
    """(shape, dtype) of what an edge leads to."""
    if isinstance(node, Tensor):
        return node.shape, node.dtype
    return node.output_meta[output_nr]


def from_edge(array, edge, counter=None):
    """The Tensor on ``array`` that hangs on ``edge`` of the graph."""
    node, output_nr = edge
    if isinstance(node, Tensor):
        return node
    tensor = Tensor._wrap(array, counter)
    tensor.grad_fn, tensor.output_nr, tensor._requires_grad = node, output_nr, True
    return tensor
