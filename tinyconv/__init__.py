"""tinyconv: convolutional networks on NumPy and Numba, with PyTorch's names.

import tinyconv as torch
import tinyconv.nn as nn
import tinyconv.nn.functional as F
"""

# ruff: noqa: F401  (what is imported here is what the package offers)

import importlib as _importlib
from math import e, inf, nan, pi

import numpy as _np

from tinyconv import absent as _absent
from tinyconv import (
    autograd,
    backends,
    cuda,
    data,
    kernels,
    linalg,
    nn,
    optim,
    testing,
    utils,
)
from tinyconv.autograd import (
    Tensor,
    enable_grad,
    get_default_dtype,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_default_dtype,
    set_grad_enabled,
)
from tinyconv.kernels import get_num_threads, set_num_threads
from tinyconv.nn.functional import (
    adaptive_avg_pool1d,
    avg_pool1d,
    bilinear,
    celu_,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    max_pool1d,
    max_pool2d,
    rms_norm,
    rrelu_,
    selu_,
    threshold_,
)
from tinyconv.ops import inplace as _inplace
from tinyconv.ops.activations import celu, hardshrink, prelu, rrelu, selu, threshold
from tinyconv.ops.arithmetic import (
    add,
    clamp,
    clamp_max,
    clamp_min,
    clip,
    div,
    divide,
    floor_divide,
    fmod,
    maximum,
    minimum,
    mul,
    multiply,
    neg,
    negative,
    remainder,
    rsub,
    sub,
    subtract,
    true_divide,
    where,
)
from tinyconv.ops.compare import (
    allclose,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    eq,
    equal,
    ge,
    greater,
    greater_equal,
    gt,
    isclose,
    isfinite,
    isin,
    isinf,
    isnan,
    isneginf,
    isposinf,
    isreal,
    le,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
    not_equal,
    signbit,
)
from tinyconv.ops.creation import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    arange,
    as_tensor,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    is_tensor,
    linspace,
    logspace,
    numel,
    ones,
    ones_like,
    scalar_tensor,
    tensor,
    zeros,
    zeros_like,
)
from tinyconv.ops.distance import (
    cdist,
    cosine_similarity,
    dist,
    pairwise_distance,
    pdist,
    renorm,
)
from tinyconv.ops.dtypes import (
    Size,
    can_cast,
    finfo,
    iinfo,
    promote_types,
    result_type,
    set_default_tensor_type,
    typename,
)
from tinyconv.ops.einsum import einsum
from tinyconv.ops.facts import (
    detach,
    get_device,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_same_size,
    is_signed,
)
from tinyconv.ops.index import (
    argwhere,
    gather,
    index_select,
    masked_select,
    narrow,
    nonzero,
    select,
    take,
    take_along_dim,
)
from tinyconv.ops.join import (
    cat,
    chunk,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    row_stack,
    split,
    split_with_sizes,
    stack,
    tensor_split,
    unbind,
    vsplit,
    vstack,
)
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
from tinyconv.ops.order import (
    argsort,
    bucketize,
    kthvalue,
    median,
    mode,
    msort,
    nanmedian,
    nanquantile,
    quantile,
    searchsorted,
    sort,
    topk,
    unique,
    unique_consecutive,
)
from tinyconv.ops.pairs import (
    addcdiv,
    addcmul,
    arctan2,
    atan2,
    copysign,
    fmax,
    fmin,
    heaviside,
    hypot,
    lerp,
    logaddexp,
    logaddexp2,
    xlogy,
)
from tinyconv.ops.pointwise import (
    abs,
    absolute,
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    asin,
    asinh,
    atan,
    atanh,
    ceil,
    cos,
    cosh,
    deg2rad,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    fix,
    floor,
    frac,
    log,
    log1p,
    log2,
    log10,
    logit,
    nan_to_num,
    positive,
    rad2deg,
    reciprocal,
    relu,
    round,
    rsqrt,
    sgn,
    sigmoid,
    sign,
    sin,
    sinc,
    sinh,
    sqrt,
    tan,
    tanh,
    trunc,
)
from tinyconv.ops.power import (
    float_power,
    pow,
    square,
)
from tinyconv.ops.printing import set_printoptions
from tinyconv.ops.products import cross, inner, inverse, kron, matrix_power, tensordot, trace
from tinyconv.ops.random import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from tinyconv.ops.rearrange import (
    adjoint,
    block_diag,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    cartesian_prod,
    combinations,
    diag,
    diag_embed,
    diagflat,
    fliplr,
    flipud,
    meshgrid,
    moveaxis,
    movedim,
    ravel,
    repeat_interleave,
    roll,
    rot90,
    swapaxes,
    swapdims,
    tile,
    tril,
    tril_indices,
    triu,
    triu_indices,
    unflatten,
)
from tinyconv.ops.reduce import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    norm,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from tinyconv.ops.scan import (
    cummax,
    cummin,
    cumprod,
    cumsum,
    diff,
    logcumsumexp,
    prod,
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
    atleast_1d,
    atleast_2d,
    atleast_3d,
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
from tinyconv.ops.softmax import log_softmax, softmax
from tinyconv.ops.strided import diagonal
from tinyconv.ops.vision import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tinyconv.toplevel import (
    adaptive_max_pool1d,
    alpha_dropout,
    batch_norm,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    dropout,
    embedding,
    feature_alpha_dropout,
    group_norm,
    hinge_embedding_loss,
    instance_norm,
    kl_div,
    layer_norm,
    margin_ranking_loss,
    poisson_nll_loss,
    triplet_margin_loss,
)

__version__ = "0.1.0"

float = float32 = _np.dtype(_np.float32)
double = float64 = _np.dtype(_np.float64)
uint8, int8, int16 = (_np.dtype(name) for name in ("uint8", "int8", "int16"))
int = int32 = _np.dtype(_np.int32)
long = int64 = _np.dtype(_np.int64)
bool = _np.dtype(_np.bool_)
#: named in scripts; memory here has one format
contiguous_format, preserve_format, channels_last = "contiguous", "preserve", "channels_last"
newaxis = None
dtype = _np.dtype
ger = outer

for _name in _inplace.FUNCTIONS.split():
    globals()[_name] = getattr(Tensor, _name)

#: loaded when they are first looked at, so that ``import tinyconv`` stays short
_LATER = ("amp", "jit", "models", "onnx", "random", "types", "weights")
_FUNCTIONS_LATER = {
    "load": "serialization", "save": "serialization",
    "autocast": "amp", "is_autocast_enabled": "amp",
    "are_deterministic_algorithms_enabled": "switches", "compile": "switches",
    "get_default_device": "switches", "get_float32_matmul_precision": "switches",
    "set_default_device": "switches", "set_float32_matmul_precision": "switches",
    "use_deterministic_algorithms": "switches",
}  # fmt: skip

__all__ = [*_LATER, *_FUNCTIONS_LATER, *[name for name in globals() if not name.startswith("_")]]


def __getattr__(name):
    if name in _LATER:
        return _importlib.import_module(f"tinyconv.{name}")
    if name in _FUNCTIONS_LATER:
        return getattr(_importlib.import_module(f"tinyconv.{_FUNCTIONS_LATER[name]}"), name)
    raise AttributeError(_absent.why(name))
