"""Random tensors, all from generators that can be seeded, saved and set back."""

import numpy as np

from tinyconv.autograd import Function, Tensor, get_default_dtype, modes
from tinyconv.ops.shape import as_dtype, check_device, sizes


class Generator:
    """A stream of random numbers with a seed and a state.

    >>> import tinyconv as tc
    >>> g = tc.Generator().manual_seed(7)
    >>> a = tc.rand(2, generator=g)
    >>> tc.equal(a, tc.rand(2, generator=g.manual_seed(7)))
    True
    """

    def __init__(self, device=None):
        self.seed()

    def manual_seed(self, seed):
        """Start the stream that belongs to ``seed``; returns self."""
        self._seed = int(seed)
        self.numpy = np.random.Generator(np.random.PCG64(self._seed % (1 << 64)))
        return self

    def seed(self):
        """Start a stream from the system's entropy; returns its seed."""
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        self.manual_seed(seed)
        return seed

    def initial_seed(self):
        """The seed that the stream started from."""
        return self._seed

    def get_state(self):
        """The state as a plain dict of numbers and strings (it goes into checkpoints)."""
        return {"seed": self._seed, "stream": self.numpy.bit_generator.state}

    def set_state(self, state):
        """Continue from a state that ``get_state`` gave."""
        self._seed = state["seed"]
        self.numpy = np.random.Generator(np.random.PCG64(0))
        self.numpy.bit_generator.state = state["stream"]
        return self


#: what ops, layers and loaders draw from unless they are given a generator
default_generator = Generator()


def manual_seed(seed) -> Generator:
    """Seed the default generator; returns it.

    >>> import tinyconv as tc
    >>> _ = tc.manual_seed(0); a = tc.rand(3)
    >>> _ = tc.manual_seed(0); tc.equal(a, tc.rand(3))
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> dict:
    """The state of the default generator."""
    return _current().get_state()


def set_rng_state(new_state) -> None:
    """Set the default generator back to a state."""
    _current().set_state(new_state)


def _current():
    return modes.state.generator or default_generator


def _fork(state):
    return Generator().set_state(state)


# ``autograd.checkpoint`` repeats draws, and stands a floor below
modes.get_rng_state, modes.set_rng_state = get_rng_state, set_rng_state
modes.fork_generator = _fork


def stream(generator):
    """The NumPy generator behind ``generator``, or behind the default one for None."""
    return (_current() if generator is None else generator).numpy


def below_one(draws):
    """Cut to 24 bits, which float32 holds: rounding could make 1 of the largest draws."""
    return np.floor(draws * (1 << 24)) / (1 << 24)


def _new(values, dtype, requires_grad=False):
    # float32 and float64 draws of one seed agree to rounding
    out = Tensor(np.asarray(values).astype(dtype))
    if requires_grad:
        out.requires_grad = True
    return out


def _draw(op, draw, shape, dtype, device, requires_grad):
    """``draw(shape)`` of floats as a tensor."""
    check_device(device)
    if min(shape, default=0) < 0:
        raise RuntimeError(f"{op}: size {list(shape)} has a negative number")
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype, op)
    if dtype.kind != "f":
        raise RuntimeError(f"{op}: draws floats, not {dtype}")
    return _new(draw(shape), dtype, requires_grad)


def rand(*shape, size=None, dtype=None, device=None, requires_grad=False, generator=None) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return _draw(
        "rand", lambda n: below_one(stream(generator).random(n)), sizes(shape, size), dtype, device,
        requires_grad,
    )  # fmt: skip


def randn(
    *shape, size=None, dtype=None, device=None, requires_grad=False, generator=None
) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    draw = stream(generator).standard_normal
    return _draw("randn", draw, sizes(shape, size), dtype, device, requires_grad)


def randint(
    low=0, high=None, size=None, *, dtype=np.int64, device=None, requires_grad=False, generator=None
) -> Tensor:
    """Whole numbers from ``low`` (0) to before ``high``: ``randint(10, (2, 3))``.

    Raises:
        RuntimeError: if there are none.
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: size is missing: randint(high, size) or randint(low, high, size)")
    low, high = int(low), int(high)
    if low >= high:
        raise RuntimeError(f"randint: there is no number from {low} to before {high}")
    values = stream(generator).integers(low, high, sizes((size,)), dtype=np.int64)
    return _new(values, as_dtype(dtype, "randint"), requires_grad)


def randperm(n, *, dtype=np.int64, device=None, requires_grad=False, generator=None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    check_device(device)
    if n < 0:
        raise RuntimeError(f"randperm: n={n} must not be negative")
    return _new(stream(generator).permutation(n), as_dtype(dtype, "randperm"), requires_grad)


def rand_like(input, *, dtype=None, memory_format=None, **options) -> Tensor:
    """``rand`` in the shape and dtype of ``input``."""
    return rand(size=input.shape, dtype=input.dtype if dtype is None else dtype, **options)


def randn_like(input, *, dtype=None, memory_format=None, **options) -> Tensor:
    """``randn`` in the shape and dtype of ``input``."""
    return randn(size=input.shape, dtype=input.dtype if dtype is None else dtype, **options)


def randint_like(input, low=0, high=None, *, dtype=None, memory_format=None, **options) -> Tensor:
    """``randint`` in the shape and dtype of ``input``."""
    dtype = input.dtype if dtype is None else dtype
    return randint(low, high, input.shape, dtype=dtype, **options)


# -- distributions --------------------------------------------------------------------------------
def bernoulli(input: Tensor, p=None, *, generator=None) -> Tensor:
    """1 with the probability that ``input`` (or the number ``p``) tells, else 0; no gradient."""
    chance = input.array if p is None else np.asarray(p)
    if p is None and chance.dtype.kind != "f":
        raise RuntimeError(f"bernoulli: probabilities must be floats, got {chance.dtype}")
    if not np.all((chance >= 0) & (chance <= 1)):
        raise RuntimeError("bernoulli: probabilities must lie between 0 and 1")
    return _new(stream(generator).random(input.shape) < chance, input.dtype)


def poisson(input: Tensor, generator=None) -> Tensor:
    """Counts of mean ``input``; no gradient."""
    if input.dtype.kind != "f" or not (input.array >= 0).all():
        raise RuntimeError("poisson: means must be floats, none of them negative")
    return _new(stream(generator).poisson(input.array), input.dtype)


def normal(
    mean=0.0, std=1.0, size=None, *, dtype=None, device=None, requires_grad=False, generator=None
) -> Tensor:
    """Normal numbers: ``mean`` and ``std`` are tensors that broadcast, or numbers with a ``size``.

    No gradient flows to them.

    >>> import tinyconv as tc
    >>> tc.normal(0.0, 1.0, (2, 3)).shape, tc.normal(tc.zeros(4), 2.0).shape
    ((2, 3), (4,))
    """
    given = [v for v in (mean, std) if isinstance(v, Tensor)]
    if bool(given) != (size is None):
        raise TypeError("normal: wants either a size with two numbers, or a tensor")
    mean, std = (v.array if isinstance(v, Tensor) else v for v in (mean, std))
    if np.any(np.less(std, 0)):
        raise RuntimeError(f"normal: std={std} must not be negative")
    if given:
        dtype = given[0].dtype
    try:
        shape = np.broadcast_shapes(*[v.shape for v in given]) if given else sizes((size,))
    except ValueError:
        raise RuntimeError(
            f"normal: mean {list(given[0].shape)} and std {list(given[1].shape)} cannot be "
            "broadcast"
        ) from None
    return _draw(
        "normal", lambda n: stream(generator).standard_normal(n) * std + mean, shape, dtype, device,
        requires_grad,
    )  # fmt: skip


def multinomial(input: Tensor, num_samples, replacement=False, *, generator=None) -> Tensor:
    """Places drawn with the chances ``input``, a vector or rows of weights (they need no sum of 1).

    Returns:
        int64 (num_samples,) or (rows, num_samples); no place twice without ``replacement``.

    Raises:
        RuntimeError: for negative or endless weights, or too few that are not 0.
    """
    weights = input.array
    if weights.dtype.kind != "f" or weights.ndim not in (1, 2) or num_samples < 1:
        raise RuntimeError(
            f"multinomial: wants a vector or rows of float weights and num_samples of at least 1, "
            f"got {weights.dtype} of shape {list(weights.shape)} and {num_samples}"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any(-1).all():
        raise RuntimeError("multinomial: weights must be finite, not negative, and not all 0")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            f"multinomial: {num_samples} of {weights.shape[-1]} places without replacement"
        )
    rng = stream(generator)
    if replacement:
        ends = weights.cumsum(-1, dtype=np.float64)
        marks = rng.random((*weights.shape[:-1], num_samples)) * ends[..., -1:]
        return Tensor((marks[..., None] >= ends[..., None, :]).sum(-1))
    # the first arrivals of Poisson processes with these rates (places of weight 0 come last)
    with np.errstate(divide="ignore"):
        arrivals = rng.standard_exponential(weights.shape) / weights
    return Tensor(arrivals.argsort(-1, kind="stable")[..., :num_samples])


class Dropout(Function):
    """x times a mask of 0 and 1 / (1 - p)."""

    def forward(ctx, x, p, shape):
        keep = stream(None).random(shape) >= p
        scale = np.where(keep, 1 / (1 - p) if p < 1 else 0.0, 0.0).astype(x.dtype)
        ctx.save_for_backward(scale)
        return x * scale

    def backward(ctx, gy):
        (scale,) = ctx.saved_tensors
        return gy * scale


def dropout(x, p, shape=None) -> Tensor:
    """Zero each element with probability ``p``, scale the rest by 1 / (1 - p).

    ``shape``: of the mask, for masks that are broadcast (whole channels).
    """
    return Dropout.apply(x, p, x.shape if shape is None else shape)
