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


def is_complex(input):
    """Whether the dtype is complex, which only derivative checks use."""
    return input.dtype.kind == "c"


def is_floating_point(input):
    """Whether the dtype is float32 or float64."""
    return input.dtype.kind in "fc"  # complex128 stands for float64 in derivative checks


def is_signed(input):
    """Whether the dtype has negative numbers."""
    return input.dtype.kind in "ifc"


def is_nonzero(input):
    """Whether the one value is not 0."""
    return bool(input)


def is_same_size(input, other):
    """Whether the shapes are equal."""
    return input.shape == other.shape


def is_pinned(self, device=None):
    """False: there is no memory of a GPU to copy to."""
    return False


def pin_memory(self, device=None):
    """The tensor itself."""
    return self


def get_device(input):
    """-1, which stands for the CPU."""
    return -1


def detach(input):
    """The same memory as a leaf without history."""
    return input.detach()


METHODS = (
    ndimension, nelement, stride, data_ptr, is_complex, is_floating_point, is_signed, is_nonzero,
    is_same_size, is_pinned, pin_memory, get_device,
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
