"""What a tensor tells of itself: where and how its numbers lie. None of it is differentiable."""

from tinyconv.autograd import Tensor


def ndimension(self):
    """The number of dimensions."""
    return self.ndim


def nelement(self):
    """The number of elements."""
    return self.array.size


def stride(self, dim=None):
    """How many elements lie between neighbours along each dimension, or along ``dim``."""
    steps = tuple(n // self.array.itemsize for n in self.array.strides)
    return steps if dim is None else steps[dim]


def data_ptr(self):
    """The address of the first element."""
    return self.array.__array_interface__["data"][0]


def is_complex(self):
    """Whether the dtype is complex, which only derivative checks use."""
    return self.dtype.kind == "c"


def is_signed(self):
    """Whether the dtype has negative numbers."""
    return self.dtype.kind in "ifc"


def is_nonzero(self):
    """Whether the one value is not 0."""
    return bool(self)


def is_same_size(self, other):
    """Whether the shapes are equal."""
    return self.shape == other.shape


def is_pinned(self):
    """False: there is no memory of a GPU to copy to."""
    return False


def pin_memory(self, device=None):
    """The tensor itself."""
    return self


def get_device(self):
    """-1, which stands for the CPU."""
    return -1


METHODS = (
    ndimension, nelement, stride, data_ptr, is_complex, is_signed, is_nonzero, is_same_size,
    is_pinned, pin_memory, get_device,
)  # fmt: skip
PROPERTIES = {
    "is_cpu": lambda self: True,
    **dict.fromkeys("is_cuda is_mps is_xla is_sparse is_quantized".split(), lambda self: False),
    "itemsize": lambda self: self.array.itemsize,
    "nbytes": lambda self: self.array.nbytes,
}


def attach():
    """Give them to Tensor; called by ``tinyconv.ops.methods``."""
    for function in METHODS:
        setattr(Tensor, function.__name__, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))
