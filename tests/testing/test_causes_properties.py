"""Causes on random Jacobians: any shape, any noise, any nonsense."""

import math
from fractions import Fraction

import numpy as np
import pytest
from arrays import seeds
from hypothesis import assume, example, given
from hypothesis import strategies as st
from jacobians import NAMES, block

from tinyconv.testing.causes import Block, diagnose, where
from tinyconv.testing.causes.ratios import as_fraction, name_ratio

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def dense(out, inp, seed):
    """A Jacobian of which no two elements are alike."""
    return np.random.default_rng(seed).standard_normal((math.prod(out), math.prod(inp)))


def shift(D, inp, axis, step, seed):
    moved = np.roll(D.reshape(-1, *inp), step, axis=axis + 1)
    end = 0 if step > 0 else -1
    edge = [slice(None)] * moved.ndim
    edge[axis + 1] = end
    moved[tuple(edge)] = np.random.default_rng(seed).standard_normal(moved[tuple(edge)].shape)
    return moved.reshape(D.shape)


#: name -> mistake(D, inp, axis, seed), of the input axis where there is a choice
MISTAKES = {
    "constant factor": lambda D, inp, axis, seed: D * (1.001, 2.0, 0.125, 1e-9, 3e9)[seed % 5],
    "sign": lambda D, inp, axis, seed: -D,
    "missing": lambda D, inp, axis, seed: 0 * D,
    "flipped": lambda D, inp, axis, seed: np.flip(D.reshape(-1, *inp), axis + 1).reshape(D.shape),
    "shifted": lambda D, inp, axis, seed: shift(D, inp, axis, (-1) ** seed, seed),
    "partly missing": lambda D, inp, axis, seed: D * (np.indices(inp)[axis] != seed % 2).ravel(),
    "added": lambda D, inp, axis, seed: D + 0.7,
    "precision": lambda D, inp, axis, seed: D.astype(np.float32),
}


def named(blocks):
    return {key: cause.name for key, cause in diagnose(blocks).items()}


@given(name=st.sampled_from(sorted(MISTAKES)), out=shapes, inp=shapes, seed=seeds, data=st.data())
def test_a_planted_mistake_is_named_whatever_the_shape(name, out, inp, seed, data):
    # along two indices a shift is a flip; one element is any multiple of another
    axes = [k for k, size in enumerate(inp) if size > 2]
    assume(axes and math.prod(out) > 1)
    D = dense(out, inp, seed)
    A = MISTAKES[name](D, inp, data.draw(st.sampled_from(axes)), seed)
    planted = block(D, A, out, inp)
    assume(planted.wrong.sum() > 2)
    assert named([planted]) == {(1, 0, 0): name}


@given(out=shapes, size=st.integers(2, 4), seed=seeds)
def test_equal_axes_exchanged(out, size, seed):
    assume(math.prod(out) > 1)
    inp = (size, 3, size) if size > 2 else (4, 4)
    D = dense(out, inp, seed)
    A = D.reshape(-1, *inp).swapaxes(1, -1).reshape(D.shape)
    assert named([block(D, A, out, inp)]) == {(1, 0, 0): "transposed"}


@given(out=shapes, inp=shapes, seed=seeds, k=st.integers(2, 4))
def test_gradients_of_two_inputs_exchanged(out, inp, seed, k):
    assume(math.prod(out) * math.prod(inp) > 2)
    right = [dense(out, inp, seed + i) for i in range(k)]
    given_back = [right[1], right[0], *right[2:]]
    blocks = [block(D, A, out, inp, input=i) for i, (D, A) in enumerate(zip(right, given_back))]
    assert named(blocks) == {(1, 0, 0): "swapped inputs", (1, 0, 1): "swapped inputs"}


@given(rows=st.integers(3, 6), columns=st.integers(3, 6), seed=seeds)
def test_a_factor_for_each_output(rows, columns, seed):
    D = dense((rows,), (columns,), seed)
    counts = np.random.default_rng(seed).integers(1, 9, (rows, 1)) / 9
    assume(np.unique(counts).size > 1)
    assert named([block(D, D * counts, (rows,), (columns,))]) == {(1, 0, 0): "divisor"}


@given(
    name=st.sampled_from(sorted(set(MISTAKES) - {"precision"})), seed=seeds,
    size=st.sampled_from([1e-12, 1e-9, 1e-7]), noise=seeds,
)  # fmt: skip
def test_noise_within_the_error_bar_does_not_matter(name, seed, size, noise):
    out, inp = (2, 3), (3, 4)
    D = dense(out, inp, seed)
    A = MISTAKES[name](D, inp, 1, seed)
    rng = np.random.default_rng(noise)
    bar = size * rng.random(D.shape)
    noisy = D + bar * rng.uniform(-1, 1, D.shape)
    no = np.zeros(D.shape, bool)
    assert named([Block(out, inp, A, noisy, bar, np.abs(A - noisy) > 2 * bar, no)]) == {
        (1, 0, 0): name
    }


@given(name=st.sampled_from(sorted(MISTAKES)), seed=seeds, kinks=st.booleans())
def test_what_is_not_known_does_not_matter(name, seed, kinks):
    out, inp = (4, 5), (3, 4)
    D = dense(out, inp, seed)
    planted = block(D, MISTAKES[name](D, inp, 1, seed), out, inp)
    holes = np.random.default_rng(seed).random(D.shape) < 0.05
    assume((planted.wrong & ~holes).sum() > 2)
    planted.wrong &= ~holes
    if kinks:
        planted.kink = holes
    else:
        planted.bar[holes] = 1e9
    planted.numeric[holes] = -1e3
    assert named([planted]) == {(1, 0, 0): name}


odd = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 1e-300, 1e300, 5e-324, np.nan, np.inf, -np.inf])
few = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(out=few, inp=few, number=st.integers(1, 3), data=st.data())
@example(out=(), inp=(), number=1, data=None)
@example(out=(0,), inp=(3,), number=1, data=None)
@pytest.mark.filterwarnings("error")
def test_nothing_makes_it_raise(out, inp, number, data):
    size = math.prod(out) * math.prod(inp)
    blocks = []
    for k in range(number):
        if data is None:
            A, D, bar = np.ones((3, size))
            wrong = kink = np.ones(size, bool)
        else:
            A, D, bar = (
                np.array(data.draw(st.lists(odd, min_size=size, max_size=size))) for _ in range(3)
            )
            wrong, kink = (
                np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool)
                for _ in range(2)
            )
        x = None if k else np.where(np.isfinite(A[: math.prod(inp)]), 1.0, np.nan)
        blocks.append(Block(out, inp, A, D, bar, wrong, kink, input=k, x=x))
    found = diagnose(blocks)
    assert set(found) == {(1, 0, b.input) for b in blocks if b.wrong.any()}
    for cause in found.values():
        assert cause.name in NAMES and cause.text and 0 <= cause.confidence <= 1
    assert all(where(b) for b in blocks)


@given(out=shapes, inp=shapes, seed=seeds)
def test_all_kinks_or_nothing_known(out, inp, seed):
    D = dense(out, inp, seed)
    yes, no = np.ones(D.shape, bool), np.zeros(D.shape, bool)
    at_kinks = Block(out, inp, 2 * D, D, 0 * D, yes, yes)
    assert named([at_kinks]) in ({(1, 0, 0): "tie"}, {(1, 0, 0): "wrong factor"})
    assert named([Block(out, inp, 2 * D, D, np.full(D.shape, np.inf), yes, no)]) == {
        (1, 0, 0): "unknown"
    }


# ---------------------------------------------------------------------- ratios


@given(p=st.integers(1, 64), q=st.integers(1, 64), noise=st.floats(-9e-8, 9e-8))
def test_small_fractions_are_recognised(p, q, noise):
    assert as_fraction(p / q * (1 + noise)) == Fraction(p, q)
    if p != q:
        assert name_ratio(-p / q).startswith(str(Fraction(p, q)))


@pytest.mark.parametrize(
    "ratio, words",
    [
        (1 / 12, "the input's elements per channel, 12"),
        (1 / 24, "those of the whole batch, 24"),
        (23 / 24, "(n - 1) / n with n = those of the whole batch, 24"),
        (2.0, "the batch size, 2"),
        (math.sqrt(5), "sqrt of the size of the output's axis 1, 5"),
        (math.log(2), "ln 2"),
        (math.sqrt(2 / math.pi), "sqrt(2 / pi)"),
        (0.999, "0.1 % too little"),
        (1.00001, "0.001 % too much"),
    ],
)
def test_what_a_ratio_may_stand_for(ratio, words):
    assert words in name_ratio(ratio, (2, 5), (2, 5, 3, 4))
