"""What is planted as wrong is wrong, what is called right is right, by oracles of their own."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.testing.faults import FAULTS, HONEST, as_function, effects

CASES = {case.name: case for case in HONEST}
EFFECTS = [fault for fault in FAULTS if fault.group == "effects"]
SECOND = [fault for fault in FAULTS if fault.order == 2]
FIRST = [fault for fault in FAULTS if fault.order == 1 and fault.group != "effects"]

CAUSES = """
constant factor, sign, missing, partly missing, transposed, flipped, shifted, misplaced, broadcast,
divisor, lost accumulation, tie, detached statistics, swapped inputs, wrong factor, added,
precision, not linear, unknown"""
KINDS = """
input mutated, cotangent mutated, aliased, buffer reused, dtype, shape, nondeterministic, layout,
threads, zero cotangent, not linear, not finite, raises"""

#: right functions that have no derivative at some of their inputs, only slopes to either side
KINKED = {c.name for c in HONEST if c.group == "kinks"}
KINKED |= {"max pool with ties", "amax with ties", "maximum(a, b) with ties"}
#: nearer to a kink or a tie than 1e-8
NEAR = {"relu a hair beside 0", "max pool with near ties"}


def softmax_jacobian(x):
    p = np.exp(x - x.max())
    p /= p.sum()
    return np.diag(p) - np.outer(p, p)


#: differences are too rough for these: their gradients, as one knows them
KNOWN = {
    "saturated softmax": lambda gy, x: np.stack([softmax_jacobian(r) @ g for r, g in zip(x, gy)]),
    "(x + 1e8) - 1e8": lambda gy, x: gy,
    "x on 1e10": lambda gy, x: 2 * gy * x,
    "a sum with 1e8 in it": lambda gy, x: np.stack([gy] * 4, axis=1),
    "bias before a norm": lambda gy, x, b: (CASES["layer norm twice"].backward(gy, x), np.zeros(1)),
}

#: ulps by which an output may be off, where they are many
NOISY = {"inverse of a poor matrix": 1e6, "sin(1e5 x)": 1e6, "cosines of 1e6 radians": 1e7}
#: within which a function changes, where it is far from the size of the input
LENGTHS = {
    "tanh(1e4 x)": 1e-4, "sin(1e5 x)": 1e-5, "a narrow bell": 1e-3, "cosines of 1e6 radians": 1.0,
    "norm with a tiny eps": 1e-5,
}  # fmt: skip


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def listed(results):
    return results if isinstance(results, tuple) else (results,)


def cotangents(case, scale=1.0, seed=1):
    """Random cotangents of the outputs, as ``backward`` wants them."""
    rng = np.random.default_rng(seed)
    y = case.forward(*case.arrays())
    gys = tuple([np.asarray(scale * rng.standard_normal(np.shape(part))) for part in listed(y)])
    return gys if isinstance(y, tuple) else gys[0]


def gradients(backward, gy, arrays):
    """One gradient per array; zeros for None."""
    grads = listed(backward(gy, *arrays))
    assert len(grads) == len(arrays)
    return [np.zeros(a.shape) if g is None else g for g, a in zip(grads, arrays)]


# -- the lists ---------------------------------------------------------------------------


def test_there_are_enough_of_each():
    assert len(FIRST) >= 75 and len(SECOND) >= 8 and len(EFFECTS) >= 12
    assert len([c for c in HONEST if c.group in ("kinks", "extremes", "plumbing")]) >= 50


def test_names_are_unique_and_causes_are_known():
    names = [case.name for case in FAULTS + HONEST]
    assert len(set(names)) == len(names)
    assert {fault.cause for fault in FIRST + SECOND} == {name.strip() for name in CAUSES.split(",")}
    assert {fault.cause for fault in EFFECTS} == {name.strip() for name in KINDS.split(",")}
    assert {case.cause for case in HONEST} == {None}


@named(FAULTS + HONEST)
def test_arrays_are_the_same_and_fresh(case):
    for one, two in zip(case.arrays(), case.arrays()):
        assert np.array_equal(one, two) and not np.shares_memory(one, two)
        assert one.dtype == np.float64 or one.dtype.kind in "bi"
    assert case.text.endswith(".")


# -- what is right is right --------------------------------------------------------------


def slope(f, x, index, noise, length):
    """(derivative of f's sum by one element, error bar): Richardson's table at the best step.

    The outputs of f may be off by ``noise`` ulps; f changes within ``length``.
    """
    best, best_bar = 0.0, np.inf
    depends = False  # which outputs do
    lengths = [length] if length else [abs(x[index]) or 1.0, 1.0]
    for h in np.outer(10.0 ** np.arange(-1, -14, -1), lengths).ravel():
        table = []
        for level in range(4):
            moved = [x.copy(), x.copy()]
            moved[0][index] += h / 2**level
            moved[1][index] -= h / 2**level
            width = moved[0][index] - moved[1][index]
            if width == 0:
                return best, best_bar
            up, down = map(f, moved)
            depends = depends | (up != down)
            row = [(up - down).sum() / width]
            for k, coarser in enumerate(table[-1] if table else (), start=1):
                row.append(row[-1] + (row[-1] - coarser) / (4**k - 1))
            table.append(row)
        if not depends.any():
            continue
        finest = table[-1][-1]
        bar = abs(finest - table[-2][-1]) + abs(finest - table[-1][-2])
        bar += noise * np.finfo(float).eps * np.abs(up[depends]).sum() / width
        if bar < best_bar:
            best, best_bar = finest, bar
        if bar < 1e-9 * abs(finest):
            break
    return best, best_bar if np.any(depends) else 0.0


def assert_derivative(forward, backward, arrays, gy, noise=4, length=None):
    """By every element of every input, for one cotangent."""
    gys, grads = listed(gy), gradients(backward, gy, arrays)
    size = max(np.abs(g).max(initial=0) for g in grads)
    for i, (x, g) in enumerate(zip(arrays, grads)):
        assert g.shape == x.shape
        if x.dtype.kind != "f":
            assert not g.any()
            continue

        def total(moved, i=i):
            ys = listed(forward(*arrays[:i], moved, *arrays[i + 1 :]))
            return np.concatenate([np.ravel(u * y) for u, y in zip(gys, ys)])

        for index in np.ndindex(x.shape):
            wanted, bar = slope(total, x, index, noise, length)
            assert bar <= 1e-4 * size, f"too rough at {index}: {bar:.1e}"
            assert abs(g[index] - wanted) <= 10 * bar, (i, index)


@named([c for c in HONEST if c.name not in KINKED | set(KNOWN)])
@np.errstate(all="ignore")
def test_derivatives_are_right(case):
    assert_derivative(
        case.forward, case.backward, case.arrays(), cotangents(case),
        NOISY.get(case.name, 4), LENGTHS.get(case.name),
    )  # fmt: skip


@named([CASES[name] for name in KNOWN])
def test_known_derivatives_are_right(case):
    gy = cotangents(case)
    wanted = listed(KNOWN[case.name](gy, *case.arrays()))
    for g, w in zip(gradients(case.backward, gy, case.arrays()), wanted):
        np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-12)


@named([c for c in HONEST if c.order == 2])
def test_second_derivatives_are_right(case):
    arrays = (cotangents(case), *case.arrays())
    rng = np.random.default_rng(2)
    ggs = tuple([rng.standard_normal(g.shape) for g in listed(case.backward(*arrays))])
    assert_derivative(case.backward, lambda gg, *xs: case.second(listed(gg), *xs), arrays, ggs)


@named([CASES[name] for name in sorted(KINKED)])
def test_derivatives_at_kinks_lie_between_the_slopes_around(case):
    """Along any direction no larger or smaller than the slopes at many points nearby."""
    rng = np.random.default_rng(0)
    arrays = case.arrays()
    points, away, step = (1, 0.0, 1e-10) if case.name in NEAR else (100, 1e-4, 1e-8)

    def flat(xs):
        return np.concatenate([np.ravel(y) for y in listed(case.forward(*xs))])

    rows = []
    y = case.forward(*arrays)
    for hot in np.eye(np.size(y)):
        grads = gradients(case.backward, hot.reshape(np.shape(y)), arrays)
        rows.append(np.concatenate([g.ravel() for g in grads]))
    for _ in range(6):
        along = [rng.standard_normal(x.shape) for x in arrays]
        if case.name in NEAR:
            along = [d * np.abs(x) for d, x in zip(along, arrays)]
        slopes = []
        for _ in range(points):
            base = [x + away * rng.standard_normal(x.shape) for x in arrays]
            up = flat([x + step * d for x, d in zip(base, along)])
            down = flat([x - step * d for x, d in zip(base, along)])
            slopes.append((up - down) / (2 * step))
        given = np.array(rows) @ np.concatenate([d.ravel() for d in along])
        # the functions bend by no more than 10 within 1e-4, and a step of 1e-8 costs 1e-7
        assert (given >= np.min(slopes, axis=0) - 2e-3).all()
        assert (given <= np.max(slopes, axis=0) + 2e-3).all()


# -- what is wrong is wrong --------------------------------------------------------------


def worst(wrong, right):
    """The largest difference in units of the largest right number."""
    return np.abs(wrong - right).max(initial=0) / max(np.abs(right).max(initial=0), 1e-300)


@named(FIRST)
def test_first_derivatives_are_wrong(case):
    gy = cotangents(case, scale=4.0)
    wrong, right = (gradients(f, gy, case.arrays()) for f in (case.backward, case.right))
    assert all(w.shape == r.shape and w.dtype == r.dtype for w, r in zip(wrong, right))
    assert max(map(worst, wrong, right)) > 1e-9
    assert case.right is CASES[case.name.partition(":")[0]].backward


@named(SECOND)
def test_second_derivatives_are_wrong_and_first_right(case):
    twin = CASES[case.name.partition(":")[0]]
    assert (case.forward, case.backward, case.right) == (twin.forward, twin.backward, twin.second)
    gy = cotangents(case)
    rng = np.random.default_rng(2)
    ggs = tuple([rng.standard_normal(g.shape) for g in listed(case.backward(gy, *case.arrays()))])
    wrong, right = (f(ggs, gy, *case.arrays()) for f in (case.second, case.right))
    assert all(w.shape == r.shape for w, r in zip(wrong, right))
    assert max(map(worst, wrong, right)) > 1e-9


@pytest.mark.parametrize(
    "name", ["max pool with ties", "amax with ties", "maximum(a, b) with ties"]
)
def test_wrong_ties_are_no_subgradients(name):
    """Raise all inputs together: the maximum rises as much, the planted gradients do not."""
    ones = np.ones_like(CASES[name].forward(*CASES[name].arrays()))
    assert (
        sum(g.sum() for g in listed(CASES[name].backward(ones, *CASES[name].arrays()))) == ones.size
    )
    for fault in [f for f in FIRST if f.cause == "tie" and f.name.startswith(name + ":")]:
        total = sum(g.sum() for g in listed(fault.backward(ones, *fault.arrays())))
        assert abs(total - ones.size) >= 1


# -- side effects: each is shown by its own means, and its right twin does not show it ---


def _run(case, gy=None):
    """(arrays, cotangent, output, gradients) of one forward and one backward."""
    arrays = case.arrays()
    gy = cotangents(CASES[case.name.partition(":")[0]]) if gy is None else gy
    y = case.forward(*arrays)
    return arrays, gy, y, listed(case.backward(gy, *arrays))


def input_mutated(case):
    return any(not np.array_equal(a, b) for a, b in zip(_run(case)[0], case.arrays()))


def cotangent_mutated(case):
    return not np.array_equal(_run(case)[1], cotangents(case))


def aliased(case):
    gy = np.ones_like(cotangents(case))
    arrays, _, _, grads = _run(case, gy)
    first, *others = [*grads, *arrays]
    return any(np.shares_memory(first, other) for other in others)


def buffer_reused(case):
    (*_, y1, g1), (*_, y2, g2) = _run(case), _run(case)
    return any(np.shares_memory(a, b) for a, b in [(y1, y2), *zip(g1, g2)])


def dtype(case):
    return any(g.dtype != x.dtype for g, x in zip(_run(case)[3], case.arrays()))


def shape(case):
    return any(g.shape != x.shape for g, x in zip(_run(case)[3], case.arrays()))


def nondeterministic(case):
    """Other numbers where only other calls came between."""
    arrays, gy = case.arrays(), cotangents(CASES[case.name.partition(":")[0]])
    seen = set()
    for _ in range(8):
        y = case.forward(*arrays)
        case.forward(*[a + 1 for a in arrays])
        grads = listed(case.backward(gy, *arrays))
        seen.add(b"".join(np.ascontiguousarray(a).tobytes() for a in (y, *grads)))
    return len(seen) > 1 or nondeterministic_backward(case, arrays, gy)


def nondeterministic_backward(case, arrays, gy):
    """A gradient at ``arrays`` that depends on whether the last forward was there."""
    case.forward(*arrays)
    here = listed(case.backward(gy, *arrays))
    case.forward(*[a + 1 for a in arrays])
    return any(not np.array_equal(a, b) for a, b in zip(here, listed(case.backward(gy, *arrays))))


def layout(case):
    """Other numbers, or none, for the same arrays in Fortran's order."""
    arrays = [np.asfortranarray(a) for a in case.arrays()]
    _, gy, y, grads = _run(case)
    try:
        others = listed(case.backward(np.asfortranarray(gy), *arrays))
    except ValueError:
        return True
    moved = [case.forward(*arrays), *others]
    return any(not np.allclose(a, b, rtol=1e-12) for a, b in zip([y, *grads], moved))


def raises(case):
    try:
        _run(case)
    except ValueError:
        return True
    return False


def zero_cotangent(case):
    return any(g.any() for g in _run(case, np.zeros_like(cotangents(case)))[3])


def not_linear(case):
    scales = [1e-4, 1.0, 10.0]
    grads = [case.backward(s * cotangents(case), *case.arrays()) / s for s in scales]
    return any(not np.allclose(g, grads[1], rtol=1e-9) for g in grads)


def not_finite(case):
    return any(not np.isfinite(g).all() for g in _run(case)[3])


def threads(case):
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        for count in (1, 2, 3):
            patch.setattr(effects, "get_num_threads", lambda count=count: count)
            seen.add(_run(case)[3][-1].tobytes())
    return len(seen) > 1


@named(EFFECTS)
def test_side_effects_show(case):
    shows = globals()[case.cause.replace(" ", "_")]
    assert shows(case)
    assert not shows(CASES[case.name.partition(":")[0]])


# -- on Tensors --------------------------------------------------------------------------


def _tensors(case):
    return [tc.from_numpy(a).requires_grad_(a.dtype.kind == "f") for a in case.arrays()]


@named([c for c in HONEST if c.order == 1] + FIRST)
def test_as_function_has_the_case_s_derivative(case):
    tensors = _tensors(case)
    ys = listed(as_function(case)(*tensors))
    gy = cotangents(case)
    floats = [t for t in tensors if t.requires_grad]
    got = tc.autograd.grad(
        ys, floats, [tc.from_numpy(np.asarray(g)) for g in listed(gy)], materialize_grads=True
    )
    kept = [g for g, t in zip(gradients(case.backward, gy, case.arrays()), tensors)
            if t.requires_grad]  # fmt: skip
    for g, wanted in zip(got, kept):
        np.testing.assert_array_equal(g.array, wanted)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        ys = listed(as_function(case)(*tensors))
        tc.autograd.grad(ys, floats, [tc.ones_like(y) for y in ys], create_graph=True)


@named([c for c in HONEST if c.order == 2] + SECOND)
def test_as_function_has_the_case_s_second_derivative(case):
    tensors = _tensors(case)
    gy = tc.from_numpy(cotangents(case)).requires_grad_()
    grads = tc.autograd.grad(as_function(case)(*tensors), tensors, gy, create_graph=True)
    rng = np.random.default_rng(2)
    ggs = tuple([rng.standard_normal(g.shape) for g in grads])
    got = tc.autograd.grad(grads, [gy, *tensors], [tc.from_numpy(g) for g in ggs])
    for g, wanted in zip(got, case.second(ggs, gy.array, *case.arrays())):
        np.testing.assert_array_equal(g.array, wanted)
