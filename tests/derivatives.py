"""First and second derivatives against Richardson-extrapolated central differences.

For a function y(x) the engine gives u . J (one backward pass per cotangent u), differences
give J . d (one slope per direction d). Both become the number u . J . d, for every
coordinate where there are few, else for random signed u and d. The second derivative is the
same check on the gradient as a function of the inputs *and* the cotangent.
"""

import numpy as np

import tinyconv as tc

STEP, LEVELS = 0.03, 4
#: up to so many elements every coordinate is looked at, above that so many random vectors
FULL, RANDOM = 6, 2


def check_derivatives(function, *inputs, order=2, seed=0):
    """Raise AssertionError unless ``function``'s derivatives to ``order`` are right.

    ``function`` maps float64 Tensors to a Tensor or a tuple of them. Inputs should lie at least
    0.1 from kinks: differences reach 0.06 to either side.
    """
    rng = np.random.default_rng(seed)
    before = [x.copy() for x in inputs]
    _compare(function, inputs, rng, "first derivative")
    if order == 2:
        count = len(inputs)
        cotangents = [_signed(rng, y.shape) for y in _run(function, inputs)[1]]

        def gradient(*args):
            ys = _floats(function(*args[:count]))
            pairs = [(y, v) for y, v in zip(ys, args[count:]) if y.requires_grad]
            return tc.autograd.grad(
                [y for y, _ in pairs], args[:count], [v for _, v in pairs],
                create_graph=True, allow_unused=True, materialize_grads=True,
            )  # fmt: skip

        _compare(gradient, [*inputs, *cotangents], rng, "second derivative")
    for i, (x, old) in enumerate(zip(inputs, before)):
        assert np.array_equal(x, old), f"input {i} was changed"


def _compare(function, inputs, rng, what):
    tensors, ys = _run(function, inputs)
    flat = _flat(ys)
    us = _vectors(rng, flat.size)
    rows = [_vjp(ys, tensors, u) for u in us]
    for i, x in enumerate(inputs):
        for row in rows:
            assert row[i].dtype == x.dtype and row[i].shape == x.shape, f"{what} {i}: {row[i]}"

        def along(moved, i=i):
            return _flat(_run(function, [*inputs[:i], moved, *inputs[i + 1 :]])[1])

        for d in _vectors(rng, x.size):
            slope, bar = _slope(along, x, d.reshape(x.shape))
            scale = max(1.0, float(np.abs(slope).max(initial=0)))
            assert bar < 1e-5 * scale, f"{what} of input {i}: differences are too rough ({bar:.1e})"
            for u, row in zip(us, rows):
                got, wanted = float(row[i].ravel() @ d), float(u @ slope)
                # the error bar holds for one output; u adds up several
                allowed = 10 * bar * np.abs(u).sum() + 1e-9 * scale
                assert abs(got - wanted) <= allowed, (
                    f"{what} with respect to input {i} (shape {x.shape}): {got:.10g}, but "
                    f"differences say {wanted:.10g} +- {allowed:.1e}"
                )


def _run(function, arrays):
    tensors = [tc.from_numpy(np.asarray(a)).requires_grad_() for a in arrays]
    return tensors, _floats(function(*tensors))


def _floats(outputs):
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [y for y in outputs if y.dtype.kind == "f"]


def _flat(ys):
    return np.concatenate([y.array.ravel() for y in ys])


def _vjp(ys, tensors, u):
    parts = np.split(u, np.cumsum([y.numel() for y in ys])[:-1])
    pairs = [(y, tc.from_numpy(v.reshape(y.shape))) for y, v in zip(ys, parts) if y.requires_grad]
    if not pairs:
        return [np.zeros(t.shape) for t in tensors]
    grads = tc.autograd.grad(
        [y for y, _ in pairs], tensors, [v for _, v in pairs],
        retain_graph=True, allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    return [g.array for g in grads]


def _vectors(rng, size):
    return np.eye(size) if size <= FULL else [_signed(rng, (size,)) for _ in range(RANDOM)]


def _signed(rng, shape):
    """Random numbers of either sign, none of them near 0."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _slope(f, x, d):
    """(derivative of f along d, error bar): Richardson's table of central differences."""
    rows, scale = [], 0.0
    for level in range(LEVELS):
        h = STEP / 2**level
        up, down = f(x + h * d), f(x - h * d)
        scale = max(scale, float(np.abs(up).max(initial=0)))
        row = [(up - down) / (2 * h)]
        for k, coarser in enumerate(rows[-1] if rows else (), start=1):
            row.append(row[-1] + (row[-1] - coarser) / (4**k - 1))
        rows.append(row)
    change = float(np.abs(rows[-1][-1] - rows[-2][-1]).max(initial=0))
    return rows[-1][-1], change + 8 * np.finfo(float).eps * scale / h
