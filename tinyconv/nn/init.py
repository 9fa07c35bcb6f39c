"""Initialisation of weights, in place and without recording; each returns its tensor.

fan_in = C kh kw and fan_out = O kh kw of a weight (O, C, kh, kw); for (out, in) without
the window.
"""

import contextlib
import functools
import math
import threading

import numpy as np

from tinyconv.autograd import Tensor, no_grad
from tinyconv.ops.random import stream

_GAINS = {
    **{f"conv{kind}{n}d": 1.0 for kind in ("", "_transpose") for n in (1, 2, 3)},
    "linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75,
}  # fmt: skip


class _Mode(threading.local):
    skips = False


_mode = _Mode()


@contextlib.contextmanager
def skip_init():
    """Modules that are made inside draw no numbers: their weights are blank.

    Blank weights are zeros that take no memory before they are written or read. So a network
    whose weights come from a file, or that is only looked at, is made in a moment. The functions of
    this module do nothing inside, so a parameter of your own from ``empty`` keeps what it holds.

    >>> import tinyconv as tc
    >>> with tc.nn.init.skip_init():
    ...     layer = tc.nn.Linear(25088, 4096)
    >>> layer.weight.shape
    (4096, 25088)
    """
    before, _mode.skips = _mode.skips, True
    try:
        yield
    finally:
        _mode.skips = before


def _fills(function):
    """A function that fills a tensor: without recording, and not at all in ``skip_init``."""

    @functools.wraps(function)
    def filling(tensor, *args, **options):
        if _mode.skips:
            return tensor
        with no_grad():
            return function(tensor, *args, **options)

    return filling


def calculate_gain(nonlinearity, param=None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    >>> round(calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: {nonlinearity!r}; wants one of {sorted([*_GAINS, 'leaky_relu'])}"
        )
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight with at least two dimensions."""
    if tensor.ndim < 2:
        raise ValueError(f"init: fan of shape {list(tensor.shape)}: wants at least 2 dimensions")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


_calculate_fan_in_and_fan_out = fans  # PyTorch's name, which scripts use


def _fan(tensor, mode):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: mode={mode!r}; wants 'fan_in' or 'fan_out'")
    return fans(tensor)[mode == "fan_out"] or 1  # an empty weight has nothing to scale


@_fills
def uniform_(tensor: Tensor, a=0.0, b=1.0, generator=None) -> Tensor:
    """Uniform in [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@_fills
def normal_(tensor: Tensor, mean=0.0, std=1.0, generator=None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    return tensor.normal_(mean, std, generator=generator)


@_fills
def trunc_normal_(tensor: Tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None) -> Tensor:
    """Normal with the given mean and standard deviation, drawn again outside [a, b].

    ``a`` and ``b`` are values, not multiples of ``std``.

    Raises:
        ValueError: if ``std`` is not positive or ``a`` not below ``b``.

    >>> import tinyconv as tc
    >>> w = tc.nn.init.trunc_normal_(tc.empty(2, 3), std=0.5, a=-1, b=1)
    >>> bool((w.abs() <= 1).all())
    True
    """
    if not (std > 0 and a < b):
        raise ValueError(f"trunc_normal_: wants std > 0 and a < b, got std={std}, a={a}, b={b}")
    random, low, high = stream(generator), (a - mean) / std, (b - mean) / std
    z, refused = _proposals(random, tensor.numel(), low, high)
    left = np.flatnonzero(refused)
    while left.size:
        z[left], refused = _proposals(random, left.size, low, high)
        left = left[refused]
    # rounding must not leave the interval
    return tensor.copy_((z * std + mean).reshape(tensor.shape)).clamp_(a, b)


def _proposals(random, count, low, high):
    """Draws for the standard normal on [low, high], and which of them are to be drawn again."""
    inside = math.erfc(low / math.sqrt(2)) - math.erfc(high / math.sqrt(2))  # twice P(low..high)
    if inside > 0.6:
        z = random.standard_normal(count)
        return z, (z < low) | (z > high)
    # in a tail or a narrow slot: evenly, and kept in proportion to the density
    mode = min(max(0.0, low), high)
    far = min(9.0, 40 / abs(mode)) if mode else 9.0  # what lies beyond has weight below 1e-17
    z = random.uniform(max(low, mode - far), min(high, mode + far), count)
    return z, random.exponential(size=count) < (z * z - mode * mode) / 2


@_fills
def constant_(tensor: Tensor, val) -> Tensor:
    """One value everywhere."""
    return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


def kaiming_uniform_(
    tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None
) -> Tensor:
    """Uniform with variance gain^2 / fan. He et al. 2015, arXiv:1502.01852, Sec. 2.2."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None
) -> Tensor:
    """Normal with variance gain^2 / fan. He et al. 2015, arXiv:1502.01852, Sec. 2.2."""
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def xavier_uniform_(tensor: Tensor, gain=1.0, generator=None) -> Tensor:
    """Uniform with variance 2 gain^2 / (fan_in + fan_out). Glorot and Bengio 2010, eq. 16."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain=1.0, generator=None) -> Tensor:
    """Normal with variance 2 gain^2 / (fan_in + fan_out). Glorot and Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def lecun_uniform_(tensor: Tensor, generator=None) -> Tensor:
    """Uniform with variance 1 / fan_in. LeCun et al. 1998, Efficient BackProp, Sec. 4.6."""
    bound = math.sqrt(3 / fans(tensor)[0])
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator=None) -> Tensor:
    """Normal with variance 1 / fan_in. LeCun et al. 1998, Efficient BackProp, Sec. 4.6."""
    return normal_(tensor, 0.0, math.sqrt(1 / fans(tensor)[0]), generator)


@_fills
def orthogonal_(tensor: Tensor, gain=1.0, generator=None) -> Tensor:
    """Rows (or columns, if there are fewer) orthonormal, times gain. arXiv:1312.6120."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: shape {list(tensor.shape)}: wants at least 2 dimensions")
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    flat = stream(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    return tensor.copy_(gain * (q.T if rows < columns else q).reshape(tensor.shape))


@_fills
def dirac_(tensor: Tensor, groups=1) -> Tensor:
    """The filter that passes as many channels (of each group) as it can through unchanged."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"dirac_: wants a conv weight of 3, 4 or 5 dimensions, got {list(tensor.shape)}"
        )
    O, C = tensor.shape[:2]
    if O % groups:
        raise ValueError(f"dirac_: {O} output channels are no multiple of groups={groups}")
    values, middle = np.zeros(tensor.shape, tensor.dtype), tuple(n // 2 for n in tensor.shape[2:])
    for i in range(min(O // groups, C)):
        values[(slice(i, None, O // groups), i) + middle] = 1
    return tensor.copy_(values)


@_fills
def eye_(tensor: Tensor) -> Tensor:
    """The identity, for a linear layer that passes on what it is given."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: wants a matrix, got shape {list(tensor.shape)}")
    rows, columns = tensor.shape
    return tensor.copy_(np.eye(rows, columns))


def sparse_(tensor: Tensor, sparsity, std=0.01, generator=None):
    """Raises: use ``normal_`` and multiply by a mask."""
    raise RuntimeError(
        "sparse_: does not exist in tinyconv; use normal_ and multiply by a mask of zeros and ones"
    )


# their names before they got an underscore, which old scripts use
uniform, normal, constant = uniform_, normal_, constant_
xavier_uniform, xavier_normal = xavier_uniform_, xavier_normal_
kaiming_uniform, kaiming_normal = kaiming_uniform_, kaiming_normal_
orthogonal, dirac, eye = orthogonal_, dirac_, eye_
