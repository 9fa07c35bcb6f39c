"""Products over chosen axes: what the registered cases do not show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyconv as tc


def ones(*shape):
    return tc.ones(shape, dtype=tc.float64)


@st.composite
def equations(draw):
    """(equation, operands): letters repeated, sizes of 1 and 0, ... in the middle."""
    sizes = dict(zip("abcD", draw(st.tuples(*[st.sampled_from([0, 1, 2, 3])] * 4))))
    dots = draw(st.sampled_from([(), (2,), (3, 2)]))
    terms, operands = [], []
    for _ in range(draw(st.integers(1, 3))):
        text = "".join(draw(st.lists(st.sampled_from("abcD"), max_size=3)))
        shape = [sizes[letter] for letter in text]
        # a size of 1 stands for any, but not beside itself
        shape = [1 if draw(st.integers(0, 5)) == 0 and text.count(c) == 1 else n
                 for c, n in zip(text, shape)]  # fmt: skip
        if draw(st.booleans()):
            at = draw(st.integers(0, len(text)))
            free = dots[draw(st.integers(0, len(dots))) :]
            text, shape = text[:at] + "..." + text[at:], [*shape[:at], *free, *shape[at:]]
        terms.append(text)
        rng = np.random.default_rng(len(operands))
        operands.append(np.asarray(rng.integers(-3, 4, shape), float))
    equation = ",".join(terms)
    if draw(st.booleans()):
        letters = sorted(set("".join(terms)) - {"."})
        kept = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
        equation += "->" + ("..." if "..." in equation else "") + "".join(kept)
    return equation, operands


@given(equations())
def test_einsum_against_numpy(drawn):
    equation, operands = drawn
    y = tc.einsum(equation, *map(tc.from_numpy, operands))
    np.testing.assert_allclose(y.numpy(), np.einsum(equation, *operands), rtol=1e-12, atol=1e-12)


def test_einsum_spellings():
    a, b = ones(2, 3), ones(3, 4)
    wanted = (a @ b).tolist()
    assert tc.einsum(" i j , j k -> i k ", a, b).tolist() == wanted
    assert tc.einsum("ij,jk", [a, b]).tolist() == wanted
    assert tc.einsum(a, [7, 1], b, [1, 30], [7, 30]).tolist() == wanted
    assert tc.einsum(a, [..., 1], b, [1, 30]).shape == (2, 4)
    assert tc.einsum("ij->...", a).shape == () and tc.einsum("i...->", a).item() == 6
    assert tc.einsum("bA", a).shape == (3, 2)  # capitals come first
    assert tc.einsum("ij,jk->ik", a.long(), b.long()).dtype == np.int64


@pytest.mark.parametrize(
    "equation, shapes, words",
    [
        ("ij,jk", [(2, 3)], "has 2 operands, given are 1"),
        ("ij", [(2, 3, 4)], "'ij' names other than the 3 axes"),
        ("ijk", [(2, 3)], "'ijk' names other than the 2 axes"),
        ("i1", [(2, 3)], "'i1' may hold letters and one '...'"),
        ("...i...", [(2, 3)], "may hold letters"),
        ("ij->ii", [(2, 3)], "the result names an axis twice"),
        ("ij->ik", [(2, 3)], "the result names axes that no operand has"),
        ("ij,jk", [(2, 3), (4, 5)], r"\[\[2, 3\], \[4, 5\]\]: 'j' has sizes 3 and 4"),
        ("...i,...", [(2, 3), (4,)], "'...' has sizes 2 and 4"),
        ("ii", [(2, 3)], "'i' has sizes 2 and 3 in one operand"),
    ],
)
def test_einsum_that_can_not_be(equation, shapes, words):
    with pytest.raises(ValueError, match=f"einsum: '{equation}' for shapes .*{words}"):
        tc.einsum(equation, *(tc.ones(s) for s in shapes))


def test_einsum_lists_that_can_not_be():
    with pytest.raises(ValueError, match=r"einsum: \[0, 52\] is no list of axes"):
        tc.einsum(ones(2, 2), [0, 52])


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: tc.mm(ones(2, 3), ones(3)), r"mm: wants tensors of 2 and 2 .*\[2, 3\] and \[3\]"),
        (lambda: tc.bmm(ones(1, 2, 3), ones(2, 3, 4)), "bmm: .*the first sizes must be equal"),
        (lambda: tc.dot(ones(2), ones(3)), r"dot: shapes \[2\] and \[3\]"),
        (lambda: tc.mv(ones(2, 3), ones(2)), "mv: "),
        (lambda: tc.outer(ones(2, 1), ones(2)), "outer: wants tensors of 1 and 1"),
        (lambda: tc.inner(ones(2), ones(3)), "inner: .*must end in the same size"),
        (lambda: tc.addmm(ones(3), ones(2, 3), ones(3, 4)),
         r"addmm: input of shape \[3\] cannot be broadcast to the product's shape \[2, 4\]"),
        (lambda: tc.baddbmm(ones(1), ones(1, 2, 3), ones(2, 3, 4)), "baddbmm: .*B, M, K"),
        (lambda: tc.tensordot(ones(2, 3), ones(2, 3), 1), "tensordot: .*axes 1 and 0 have sizes"),
        (lambda: tc.tensordot(ones(2, 3), ones(3), 2), "tensordot: .*wants 0 to 1 axes"),
        (lambda: tc.trace(ones(2)), r"trace: wants a matrix, got shape \[2\]"),
        (lambda: tc.cross(ones(2), ones(2)), "cross: no axis"),
        (lambda: tc.inverse(ones(2, 3)), r"linalg.inv: wants square .*\[2, 3\]"),
        (lambda: tc.matrix_power(ones(2, 3), 1), "matrix_power: wants square"),
        (lambda: tc.linalg.multi_dot([ones(2)]), "multi_dot: wants at least two"),
        (lambda: tc.linalg.multi_dot([ones(2, 3), ones(3), ones(3)]), "multi_dot: .* number 1"),
        (lambda: tc.linalg.multi_dot([ones(2, 3), ones(2, 3)]), "multi_dot: .*do not chain"),
    ],
)  # fmt: skip
def test_products_that_can_not_be(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_beta_0_forgets_what_is_nan():
    nan = tc.full((2, 2), np.nan)
    assert tc.addmm(nan, tc.eye(2), tc.eye(2), beta=0).tolist() == [[1, 0], [0, 1]]
    assert np.isnan(tc.addmm(nan, tc.eye(2), tc.eye(2)).numpy()).all()


def test_integers_take_whole_factors():
    x = tc.ones(2, dtype=tc.int64)
    y = tc.addmv(x, tc.ones(2, 3, dtype=tc.int64), tc.ones(3, dtype=tc.int64), beta=2.9, alpha=1.9)
    assert y.dtype == np.int64 and y.tolist() == [5, 5]


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2), (0, 3), (3, 0), (1, 1)])
def test_trace(shape, rng):
    x = rng.standard_normal(shape)
    np.testing.assert_allclose(tc.trace(tc.from_numpy(x)).item(), np.trace(x))


def test_products_without_elements():
    assert tc.kron(ones(0, 2), ones(3)).shape == (0, 6)
    assert tc.tensordot(ones(2), ones(3), 0).shape == (2, 3)
    assert tc.einsum("ij,jk->ik", ones(2, 0), ones(0, 3)).tolist() == [[0] * 3] * 2
    assert tc.addbmm(ones(2, 3), ones(0, 2, 4), ones(0, 4, 3)).tolist() == [[1] * 3] * 2
    assert tc.matrix_power(ones(0, 0), 3).shape == (0, 0)


def test_a_matrix_without_inverse():
    with pytest.raises(RuntimeError, match=r"linalg.inv: a matrix of shape \[2, 2\] is singular"):
        tc.matrix_power(ones(2, 2), -1)


def test_multi_dot_takes_the_cheap_order(monkeypatch):
    multiplications = []
    product = tc.ops.products.matmul

    def counting(a, b):
        multiplications.append(a.shape[0] * a.shape[1] * b.shape[1])
        return product(a, b)

    monkeypatch.setattr(tc.ops.products, "matmul", counting)
    sizes = [30, 35, 15, 5, 10, 20, 25]  # the book's example
    tc.linalg.multi_dot([tc.ones(a, b) for a, b in zip(sizes, sizes[1:])])
    assert sum(multiplications) == 15125


def test_read_only_and_reversed_operands(rng):
    a, b = rng.standard_normal((3, 4))[::-1], rng.standard_normal((4, 3))
    b.flags.writeable = False
    wanted = np.einsum("ij,jk->ki", a, b)
    found = tc.einsum("ij,jk->ki", tc.tensor(a), tc.tensor(b))
    np.testing.assert_allclose(found.numpy(), wanted)
