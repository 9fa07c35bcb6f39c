"""What the strategies draw: shapes that differ, values where they were asked for, and how cases
shrink and print."""

import re

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.testing import strategies
from tinyconv.testing.cases import KINDS, LAYOUTS, PREAMBLE, Case, Values, laid_out
from tinyconv.testing.registry import drawn

CASES = {
    "conv2d": strategies.conv2d_cases(),
    "pool": strategies.pool_cases(),
    "norm": strategies.norm_cases(),
    "networks": strategies.networks(),
}
each = pytest.mark.parametrize("name", CASES)


# -- values -----------------------------------------------------------------------------------
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_no_value(layout):
    x = np.arange(24.0).reshape(2, 3, 4)
    y = laid_out(x, layout)
    np.testing.assert_array_equal(x, y)
    assert y.flags.c_contiguous == (layout == "C")


@given(strategies.recipes(low=-2.0, high=5.0))
def test_values_lie_within_their_bounds(recipe):
    x = recipe.array()
    assert x.shape == recipe.shape and x.dtype == np.float64
    assert x.min(initial=0) >= -2 and x.max(initial=0) <= 5
    np.testing.assert_array_equal(x, recipe.array())


@given(strategies.recipes(away_from_kinks=0.125, kinks=(0.0, 2.0)))
def test_values_keep_away_from_kinks(recipe):
    x = recipe.array()
    assert (np.abs(x) >= 0.125).all() and (np.abs(x - 2) >= 0.125).all()


@given(strategies.tensors(distinct=True))
def test_distinct_values_are_distinct(x):
    assert np.unique(x).size == x.size


@given(strategies.tensors(integer=True, dtype=np.float32))
def test_integer_values_are_whole(x):
    assert x.dtype == np.float32 and (x == np.rint(x)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_what_it_promises(kind):
    x = Values((400,), kind, low=-4.0, high=4.0, kinks=(0.0, 1.0)).array()
    ties, zeros = x.size - np.unique(x).size, (x == 0).sum()
    assert (ties > 100) == (zeros > 0) == (kind in ("ramp", "integers", "kinks"))
    assert (0 < np.abs(x[x != 0]).min() < 1e-4) == (kind in ("mixed", "kinks"))
    if kind == "kinks":
        assert ((x - 1 != 0) & (np.abs(x - 1) < 1e-8)).any(), "values right beside a kink"


def test_no_value_is_subnormal():
    x = Values((1000,), "mixed", scale=1e-6).array()
    assert (np.abs(x) > np.finfo(float).tiny).all()


# -- shapes -----------------------------------------------------------------------------------
def test_sizes_differ_unless_they_shrink():
    many = drawn(strategies.sizes(4), 200)
    different = sum(len(set(sizes)) == 4 for sizes in many)
    assert different > 150 and (1, 1, 1, 1) in many
    assert find(strategies.sizes(4), lambda sizes: True) == (1, 1, 1, 1)


@given(strategies.shapes(1, 3, smallest=2, elements=30))
def test_shapes_keep_their_limits(shape):
    assert 1 <= len(shape) <= 3 and min(shape) >= 2 and np.prod(shape) <= 30


@given(strategies.broadcast_pairs(integer=True))
def test_pairs_broadcast(pair):
    a, b = pair
    assert np.broadcast(a, b).size >= max(a.size, b.size)


# -- cases --------------------------------------------------------------------------------------
@each
@given(data=st.data())
def test_a_case_prints_as_the_text_that_makes_it_again(name, data):
    case = data.draw(CASES[name])
    namespace: dict = {}
    exec(f"{PREAMBLE}\nfrom tinyconv.testing.cases import Case, Values", namespace)
    again = eval(repr(case), namespace)
    assert repr(again) == repr(case)
    for a, b in zip(case.inputs, again.inputs):
        np.testing.assert_array_equal(a, b)
        assert a.strides == b.strides
    np.testing.assert_array_equal(_run(case), _run(again))


def _run(case):
    return case.func(*map(tc.from_numpy, case.inputs)).numpy()


@each
@given(data=st.data())
def test_cases_are_small_enough_to_check_in_full(name, data):
    case = data.draw(CASES[name])
    assert max(x.size for x in case.inputs) <= 130
    assert np.isfinite(_run(case)).all()


@each
def test_cases_shrink_to_the_simplest(name):
    case = find(CASES[name], lambda case: True)
    assert (
        str(case)
        == {
            "conv2d": "Case.of('F.conv2d(x, w)', x=Values((1, 1, 1, 1)), w=Values((1, 1, 1, 1)))",
            "pool": "Case.of('F.adaptive_avg_pool2d(x, 1)', x=Values((1, 1, 1, 1)))",
            # one value has no variance
            "norm": "Case.of('F.batch_norm(x, None, None, training=True)', x=Values((2, 1)))",
            "networks": 'Case.of("""\\\nh1 = tc.tanh(x)\nh1\n"""'
            ", x=Values((1, 1, 1, 1), 'uniform', distinct=True))",
        }[name]
    )


def test_a_fault_that_needs_a_stride_shrinks_to_the_stride_alone():
    case = find(
        strategies.conv2d_cases(), lambda case: "stride=(1, 2)" in case.source,
        settings=settings(max_examples=2000, database=None),
    )  # fmt: skip
    assert case.source == "F.conv2d(x, w, stride=(1, 2))"
    assert all(x.size == 1 for x in case.inputs)


def test_pools_overlap_and_overhang_often():
    overlaps = overhangs = 0
    cases = drawn(strategies.pool_cases("avg_pool2d"), 300)
    for case in cases:
        kernel, stride = (
            tuple(map(int, re.search(rf"{before}\((\d), (\d)\)", case.source).groups()))
            if before in case.source
            else None
            for before in ("x, ", "stride=")
        )
        overlaps += stride is not None and (stride[0] < kernel[0] or stride[1] < kernel[1])
        if "ceil_mode" in case.source:
            floor = eval(case.source.replace("ceil_mode=True", "ceil_mode=False"), _names(case))
            overhangs += floor.shape != _run(case).shape
    assert overlaps > 60 and overhangs > 60


def _names(case):
    namespace: dict = {}
    exec(PREAMBLE, namespace)
    return namespace | {"x": tc.from_numpy(case.inputs[0])}


@pytest.mark.parametrize("word", ["conv2d", "max_pool2d", "avg_pool2d", "batch_norm", "cat", "+"])
def test_networks_have_every_part(word):
    assert any(word in case.source for case in drawn(strategies.networks(), 100))


def test_every_input_of_a_network_counts():
    for case in drawn(strategies.networks(), 50):
        tensors = [tc.tensor(x, requires_grad=True) for x in case.inputs]
        y = case.func(*tensors)
        grads = tc.autograd.grad(y, tensors, tc.ones_like(y), allow_unused=True)
        assert all(g is not None for g in grads), case


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="op='pool'; wants one of adaptive_avg"):
        strategies.pool_cases("pool")
    with pytest.raises(ValueError, match="layout='F'; wants one of C, transposed"):
        laid_out(np.ones(2), "F")
    with pytest.raises(ValueError, match="last statement of 'y = x' is no result"):
        Case.of("y = x", x=np.ones(2))
