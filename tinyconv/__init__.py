"""tinyconv: convolutional networks on NumPy and Numba, with PyTorch's names.

import tinyconv as torch
import tinyconv.nn as nn
import tinyconv.nn.functional as F
"""

# ruff: noqa: F401  (what is imported here is what the package offers)

import importlib as _importlib

import numpy as _np

from tinyconv import autograd, cuda, data, kernels, nn, optim, testing, utils
from tinyconv.autograd import (
    Tensor,
    enable_grad,
    get_default_dtype,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_default_dtype,
    set_grad_enabled,
)
from tinyconv.kernels import get_num_threads, set_num_threads
from tinyconv.nn.functional import log_softmax, softmax
from tinyconv.ops.arithmetic import (
    add,
    clamp,
    div,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    remainder,
    sub,
    where,
)
from tinyconv.ops.compare import (
    allclose,
    eq,
    equal,
    ge,
    gt,
    isfinite,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
)
from tinyconv.ops.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tinyconv.ops.index import (
    argwhere,
    diagonal,
    gather,
    index_select,
    masked_select,
    narrow,
    nonzero,
    select,
    take,
    take_along_dim,
)
from tinyconv.ops.join import cat, chunk, split, stack, unbind
from tinyconv.ops.einsum import einsum
from tinyconv.ops.linalg import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
    bmm,
    dot,
    matmul,
    mm,
    mv,
    outer,
    vdot,
)
from tinyconv.ops.products import cross, inner, kron, matrix_power, tensordot, trace
from tinyconv.ops.pointwise import (
    abs,
    cos,
    erf,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    relu,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    tanh,
)
from tinyconv.ops.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)
from tinyconv.ops.reduce import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    logsumexp,
    max,
    mean,
    min,
    norm,
    std,
    sum,
    var,
)
from tinyconv.ops.scatter import (
    bincount,
    diagonal_scatter,
    index_add,
    index_copy,
    index_fill,
    index_put,
    masked_fill,
    masked_scatter,
    put,
    scatter,
    scatter_add,
    scatter_reduce,
    select_scatter,
    slice_scatter,
)
from tinyconv.ops.shape import (
    clone,
    flatten,
    flip,
    permute,
    reshape,
    squeeze,
    t,
    transpose,
    unsqueeze,
)
from tinyconv.ops.shape import device_type as device

__version__ = "0.1.0"

float = float32 = _np.dtype(_np.float32)
double = float64 = _np.dtype(_np.float64)
uint8, int8, int16 = (_np.dtype(name) for name in ("uint8", "int8", "int16"))
int = int32 = _np.dtype(_np.int32)
long = int64 = _np.dtype(_np.int64)
bool = _np.dtype(_np.bool_)
ger = outer
clip = clamp

#: loaded when they are first looked at, so that ``import tinyconv`` stays short
_LATER = ("models", "onnx", "weights")

__all__ = [*_LATER, *[name for name in globals() if not name.startswith("_")]]


def __getattr__(name):
    if name in _LATER:
        return _importlib.import_module(f"tinyconv.{name}")
    raise AttributeError(f"module 'tinyconv' has no attribute {name!r}")
