"""Functions whose numbers may be right and that still do harm.

They change arrays that belong to others, remember what they should forget, or are right only for
the layout, the size or the order of calls that their author had in mind. ``cause`` is the kind of
harm.
"""

import numpy as np

from tinyconv.kernels import get_num_threads
from tinyconv.testing.faults.base import Family, elementwise, given, normal

family = Family("effects")

square = family.case("square", lambda x: x * x, elementwise(lambda x: 2 * x), normal((3, 4)))

# -- arrays of others are changed --------------------------------------------------------

ramp = family.case(
    "ramp", lambda x: np.maximum(x, 0), elementwise(lambda x: 1.0 * (x > 0)), normal((3, 5))
)


@family.forward_fault(ramp, "input mutated")
def in_place(x):
    """Saves memory by working in the input, which the layer before may need for its gradient."""
    return np.maximum(x, 0, out=x)


median = family.case(
    "median",
    lambda x: np.sort(x, axis=1)[:, 2],
    lambda gy, x: gy[:, None] * (x == np.median(x, axis=1, keepdims=True)),
    normal((4, 5)),
)


@family.forward_fault(median, "input mutated")
def sorts_in_place(x):
    """x.sort() sorts x itself where np.sort(x) would sort a copy."""
    x.sort(axis=1)
    return x[:, 2].copy()


@family.fault(square, "input mutated")
def doubles_the_input(gy, x):
    """2 x is made in x, so that the next function that saved x gets twice as much."""
    x *= 2
    return gy * x


@family.fault(square, "cotangent mutated")
def works_in_the_cotangent(gy, x):
    """The gradient is made in gy, which other branches of the graph get as well."""
    gy *= 2 * x
    return gy.copy()


@family.fault(square, "cotangent mutated")
def clears_the_cotangent(gy, x):
    """gy is set to zero after use, to be ready for the next accumulation."""
    gx = 2 * gy * x
    gy[...] = 0
    return gx


# -- memory is shared --------------------------------------------------------------------

scratch = np.empty((3, 4))


@family.fault(square, "buffer reused")
def one_buffer_for_all_calls(gy, x):
    """The gradient lies in a buffer that the next call overwrites."""
    np.multiply(gy, 2 * x, out=scratch)
    return scratch


result = np.empty((3, 4))


@family.forward_fault(square, "buffer reused")
def output_in_a_buffer(x):
    """The output lies in a buffer that the next forward pass overwrites."""
    return np.multiply(x, x, out=result)


addition = family.case(
    "a + b", lambda a, b: a + b, lambda gy, a, b: (gy.copy(), gy.copy()), normal((3, 4), (3, 4))
)


@family.fault(addition, "aliased")
def one_array_for_both(gy, a, b):
    """Both gradients are one array: whoever adds to the one in place changes the other."""
    g = gy.copy()
    return g, g


dot = family.case(
    "dot product", lambda a, b: a @ b, lambda gy, a, b: (gy * b, gy * a), normal((5,), (5,))
)


@family.fault(dot, "aliased")
def no_product_with_one(gy, a, b):
    """For a cotangent of 1, usual for a loss, the inputs themselves are handed out as gradients."""
    return (b, a) if gy == 1 else (gy * b, gy * a)


# -- type, shape and plain failure -------------------------------------------------------


@family.fault(square, "dtype")
def float32_gradient(gy, x):
    """The gradient of a float64 input is float32."""
    return (2 * gy * x).astype(np.float32)


channel_bias = family.case(
    "bias per channel",
    lambda x, b: x + b[:, None, None],
    lambda gy, x, b: (gy.copy(), gy.sum((0, 2, 3))),
    normal((2, 3, 4, 5), (3,)),
)


@family.fault(channel_bias, "shape", of=1)
def axes_kept(gy, x, b):
    """The sums are right, but of shape (1, 3, 1, 1); added to b of shape (3,) they spread."""
    return gy.sum((0, 2, 3), keepdims=True)


scalar = family.case(
    "scale by a number",
    lambda x, s: x * s,
    lambda gy, x, s: (gy * s, np.asarray((gy * x).sum())),
    normal((3, 4), ()),
)


@family.fault(scalar, "shape", of=1)
def number_not_summed(gy, x, s):
    """The gradient of a number that multiplies everything is returned before it is summed."""
    return gy * x


@family.fault(square, "raises")
def matrix_product(gy, x):
    """@ for *: it fails as soon as it is called, which nobody did before the release."""
    return gy @ (2 * x)


# -- what is remembered from call to call ------------------------------------------------

generator = np.random.default_rng(7)


@family.fault(square, "nondeterministic")
def mask_drawn_anew(gy, x):
    """A dropout inside backward draws its own mask, another one each time."""
    return 2 * gy * x * (generator.random(x.shape) < 0.9)


@family.forward_fault(square, "nondeterministic")
def noise_added(x):
    """Forward adds a little noise against overfitting, in evaluation too."""
    return x * x + 1e-3 * generator.standard_normal(x.shape)


total = family.case(
    "total with a weight", lambda x, w: w * x.sum(), lambda gy, x, w: (
        np.full(x.shape, gy * w), np.asarray(gy * x.sum()),
    ),
    normal((400,), ()),
)  # fmt: skip


@family.fault(total, "nondeterministic", of=1)
def summed_in_the_order_of_arrival(gy, x, w):
    """Parts are added as the workers finish: the last digits differ from run to run."""
    return np.asarray(gy * sum(generator.permutation(x)))


@family.fault(total, "threads", of=1)
def one_part_per_thread(gy, x, w):
    """The sum is cut in as many parts as there are threads: the last digits tell how many."""
    return np.asarray(gy * sum(sum(part) for part in np.array_split(x, get_num_threads())))


accumulated = np.zeros((3, 4))


@family.fault(square, "nondeterministic")
def never_cleared(gy, x):
    """The gradient is added to a buffer that nobody clears between two calls."""
    accumulated[...] += 2 * gy * x
    return accumulated.copy()


remembered = {"x": np.zeros((3, 4))}


def _remember(x):
    remembered["x"] = x.copy()
    return x * x


recalled = family.case("square that remembers", _remember, square.backward, normal((3, 4)))


@family.fault(recalled, "nondeterministic")
def input_of_the_last_forward(gy, x):
    """Backward takes the input of the last forward pass, whichever call that was."""
    return 2 * gy * remembered["x"]


running = {"mean": 0.0}
centred = family.case(
    "subtract the mean", lambda x: x - x.mean(), lambda gy, x: gy - gy.mean(), normal((3, 4))
)


@family.forward_fault(centred, "nondeterministic")
def running_mean_moves(x):
    """Half of the mean that is subtracted comes from the calls before."""
    running["mean"] = 0.5 * running["mean"] + 0.5 * x.mean()
    return x - running["mean"]


# -- layouts -----------------------------------------------------------------------------

ramp_weights = np.linspace(0.5, 2, 12)
weighted = family.case(
    "weighted by position",
    lambda x: (x.ravel() * ramp_weights).sum() ** 2,
    lambda gy, x: 2 * gy * (x.ravel() @ ramp_weights) * ramp_weights.reshape(x.shape),
    normal((3, 4)),
)


@family.forward_fault(weighted, "layout")
def elements_in_memory_order(x):
    """ravel("K") goes through the memory: a transposed input comes in another order."""
    return (x.ravel("K") * ramp_weights).sum() ** 2


@family.fault(square, "layout")
def cotangent_in_memory_order(gy, x):
    """The cotangent is read as it lies in memory: wrong when it is a transposed view."""
    return (gy.ravel("K") * 2 * x.ravel()).reshape(x.shape)


@family.fault(square, "layout")
def written_into_a_copy(gy, x):
    """zeros_like keeps a transposed layout, of which reshape(-1) is a copy: all stays zero."""
    gx = np.zeros_like(x)
    gx.reshape(-1)[:] = (2 * gy * x).reshape(-1)
    return gx


@family.fault(square, "layout")
def raw_memory(gy, x):
    """frombuffer looks at the bare memory and refuses a cotangent that is not contiguous."""
    return np.frombuffer(gy).reshape(x.shape) * 2 * x


# -- not every cotangent -----------------------------------------------------------------


@family.fault(square, "zero cotangent")
def divided_by_its_size(gy, x):
    """The cotangent is scaled to 1 and back again: 0 / 0 where nothing comes back."""
    size = np.abs(gy).max()
    with np.errstate(invalid="ignore"):
        return gy / size * 2 * x * size


@family.fault(square, "zero cotangent")
def decay_added(gy, x):
    """Weight decay is added inside the op: there is a gradient where no cotangent came."""
    return 2 * gy * x + 0.01 * x


@family.fault(square, "not linear")
def norm_clipped(gy, x):
    """Gradients longer than 5 are shortened to 5; no unit cotangent brings that about."""
    gx = 2 * gy * x
    return gx * min(1.0, 5 / max(np.linalg.norm(gx), 1e-300))


@family.fault(square, "not linear")
def small_cotangents_flushed(gy, x):
    """Cotangents under 1e-3 are taken for noise and set to zero."""
    return np.where(np.abs(gy) < 1e-3, 0, gy) * 2 * x


safe_root = family.case(
    "root of the positive",
    lambda x: np.sqrt(np.where(x.real > 0, x, 1)) * (x.real > 0),
    elementwise(lambda x: 0.5 / np.sqrt(np.where(x > 0, x, 1)) * (x > 0)),
    given([[0.5, -1.0, 2.0], [-0.3, 1.5, 0.7]]),
)


@family.fault(safe_root, "not finite")
def masked_too_late(gy, x):
    """The root of the negative is taken and then masked: 0 times NaN is NaN."""
    with np.errstate(invalid="ignore"):
        return gy * (x > 0) * 0.5 / np.sqrt(x)
