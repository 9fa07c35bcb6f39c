"""Random tensors, all from generators that can be seeded, saved and set back."""

import numpy as np

from tinyconv.autograd import Function, Tensor, get_default_dtype, modes
from tinyconv.ops.shape import sizes


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


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> dict:
    """The state of the default generator."""
    return _current().get_state()


def set_rng_state(state) -> None:
    """Set the default generator back to a state."""
    _current().set_state(state)


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


def _draw(draw, size, dtype, requires_grad):
    dtype = get_default_dtype() if dtype is None else np.dtype(dtype)
    # float32 and float64 draws of one seed agree to rounding
    out = Tensor(np.asarray(draw(sizes(size))).astype(dtype))
    if requires_grad:
        out.requires_grad = True
    return out


def below_one(draws):
    """Cut to 24 bits, which float32 holds: rounding could make 1 of the largest draws."""
    return np.floor(draws * (1 << 24)) / (1 << 24)


def rand(*size, dtype=None, device=None, requires_grad=False, generator=None) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return _draw(lambda n: below_one(stream(generator).random(n)), size, dtype, requires_grad)


def randn(*size, dtype=None, device=None, requires_grad=False, generator=None) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    return _draw(stream(generator).standard_normal, size, dtype, requires_grad)


def rand_like(input, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """``rand`` in the shape and dtype of ``input``."""
    return rand(
        input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, generator=generator
    )


def randn_like(input, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """``randn`` in the shape and dtype of ``input``."""
    return randn(
        input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, generator=generator
    )


def randint(low, high=None, size=None, *, dtype=np.int64, generator=None) -> Tensor:
    """Whole numbers from ``low`` (0) to before ``high``: ``randint(10, (2, 3))``."""
    if size is None:
        low, high, size = 0, low, high
    return Tensor(
        stream(generator).integers(low, high, sizes((size,)), dtype=np.int64).astype(dtype)
    )


def randperm(n, *, dtype=np.int64, generator=None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    return Tensor(stream(generator).permutation(n).astype(dtype))


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
