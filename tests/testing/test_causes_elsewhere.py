"""Mistakes planted in formulas, sums and shapes are named, and where they sit."""

import numpy as np
import pytest
from jacobians import NAMES, block, cause, selecting

from tinyconv.testing.causes import diagnose, where
from tinyconv.testing.faults import FAULTS

# ---------------------------------------------------------------------- elementwise


X = np.random.default_rng(0).permutation(np.linspace(-2, 2, 24)).reshape(2, 3, 4)
SIGMOID = 1 / (1 + np.exp(-X))


@pytest.mark.parametrize(
    "right, wrong, name, words",
    [
        (SIGMOID * (1 - SIGMOID), SIGMOID, "wrong factor", "should be"),
        (1 - np.tanh(X) ** 2, 1 - np.tanh(X), "wrong factor", "should be"),
        (1 - np.tanh(X) ** 2, 2 - np.tanh(X) ** 2, "added", "+1 too much"),
        (X > 0, X < 0, "wrong factor", "everywhere"),
        (X > 0, np.ones_like(X), "wrong factor", "where the input is negative"),
        (np.where(X > 0, 1, 0.1), np.where(X > 0, 1, 0.2), "wrong factor", "input is negative"),
        (np.abs(X) < 1.5, np.abs(X) < 1, "partly missing", "where |input| is at least 1"),
        (np.sign(X), np.ones_like(X), "sign", "where the input is negative"),
        (1 / (X + 3), 1 / (X + 3) / np.log(10), "constant factor", "1 / (ln 10)"),
        (np.where(X > 0, 1.5, 0), np.where(X > 0, 1, np.nan), "constant factor", "2/3"),
        (0.5 / np.sqrt(X + 3), np.where(X > 1, np.nan, 0.5 / np.sqrt(X + 3)), "not finite", "NaN"),
        (np.exp(X), np.exp(X.astype(np.float32)), "precision", "float32"),
        (np.exp(X), np.exp(X).astype(np.float16), "precision", "float16"),
    ],
    ids=["sigmoid s", "tanh 1 - y", "tanh 2 - y y", "relu mask turned round", "relu unmasked",
         "leaky slope", "clamp bounds", "abs", "log10", "NaN and a factor", "NaN", "single",
         "half"],
)  # fmt: skip
def test_elementwise_formulas(right, wrong, name, words):
    D, A = (np.diag(np.asarray(d, float).ravel()) for d in (right, wrong))
    found = cause(D, A, X.shape, X.shape, X)
    assert found.name == name and words in found.text


def test_a_constant_in_single_precision():
    """All elements are off by one factor, and 1/3 rounded to float32 tells more."""
    found = cause(np.eye(6) / 3, np.eye(6) * float(np.float32(1 / 3)), (6,), (6,))
    assert found.name == "precision" and "float32" in found.text


def test_a_single_number():
    assert cause([[2.0]], [[1.0]], (), ()).name == "constant factor"
    assert cause([[2.0]], [[-2.0]], (), ()).name == "sign"
    assert cause([[2.0]], [[0.0]], (), ()).name == "missing"
    assert cause([[2.0]], [[0.714]], (), ()).name == "wrong factor"


# ---------------------------------------------------------------------- sums, shapes, two inputs


def test_broadcasting_not_undone():
    out, x = (3, 4, 2, 5), np.random.default_rng(0).standard_normal((3, 4, 2, 5))
    D = selecting(out, (4,), lambda n, c, h, v: (c,)) * x[..., None]
    for at in (0, slice(None, 1), 2):  # the share of one image; the last is as likely
        A = np.zeros_like(D)
        A[at] = D[at]
        found = cause(D, A, out, (4,))
        assert found.name == "broadcast" and "axis 0 (N)" in found.text
    one_pixel = np.zeros_like(D)
    one_pixel[:, :, 0, 0] = D[:, :, 0, 0]
    assert "axis 2 (H) and axis 3 (W)" in cause(D, one_pixel, out, (4,)).text
    too_many = np.broadcast_to(x[..., None], D.shape)
    assert cause(D, too_many, out, (4,)).name == "broadcast"
    square, other = (selecting((4, 4), (4,), lambda i, j, k=k: ((i, j)[k],)) for k in (1, 0))
    assert cause(square, other, (4, 4), (4,)).name == "broadcast"
    assert cause(D, D / 30, out, (4,)).name == "constant factor"
    assert "1/30" in cause(D, D / 30, out, (4,)).text


def test_a_matrix_shared_by_a_batch():
    left = np.random.default_rng(0).standard_normal((3, 2, 4))
    D = np.einsum("bij,kl->bikjl", left, np.eye(5))
    A = D.copy()
    A[1:] = 0
    assert cause(D, A, (3, 2, 5), (4, 5)).name == "broadcast"
    A = D.copy()
    A[1] = 0
    assert cause(D, A, (3, 2, 5), (4, 5)).name == "partly missing"


def test_copies():
    nearest = selecting((1, 2, 4, 6), (1, 2, 2, 3), lambda n, c, h, v: (n, c, h // 2, v // 2))
    A = nearest * np.multiply.outer(np.arange(4) % 2 == 0, np.arange(6) % 2 == 0).reshape(
        1, 1, 4, 6, 1, 1, 1, 1
    )
    assert cause(nearest, A, (1, 2, 4, 6), (1, 2, 2, 3)).name == "broadcast"
    index = [3, 0, 3, 2, 0, 3, 1]
    D = selecting((7, 2), (5, 2), lambda i, c: (index[i], c))
    A = D.copy()
    A[[0, 1, 2]] = 0  # all but the last of each
    found = cause(D, A, (7, 2), (5, 2))
    assert found.name == "lost accumulation" and "occurs twice" in found.text
    assert cause(D, D[np.argsort(index)], (7, 2), (5, 2)).name == "misplaced"


def test_permutations():
    rows = np.random.default_rng(0).permutation(24)
    D, inp = np.eye(24)[rows], (2, 3, 4)
    assert cause(np.eye(24), D, inp, inp).name == "misplaced"
    cube = selecting((3, 3, 3), (3, 3, 3), lambda i, j, k: (k, i, j))
    again = selecting((3, 3, 3), (3, 3, 3), lambda i, j, k: (j, k, i))
    assert cause(cube, again, (3, 3, 3), (3, 3, 3)).name == "transposed"
    mirror = selecting((4, 5), (4, 5), lambda i, j: (i, 4 - j))
    assert cause(mirror, np.eye(20), (4, 5), (4, 5)).name == "flipped"
    roll = selecting((4, 5), (4, 5), lambda i, j: (i, (j + 1) % 5))
    found = cause(np.eye(20), roll, (4, 5), (4, 5))
    assert found.name == "shifted" and "+1 along the input's axis 1" in found.text
    running_sum = np.kron(np.eye(2), np.tril(np.ones((5, 5))))
    assert cause(running_sum, running_sum.T, (2, 5), (2, 5)).name == "transposed"


def test_two_inputs():
    rng = np.random.default_rng(0)
    a, b = (np.diag(rng.standard_normal(6)) for _ in range(2))
    blocks = [block(b, a, (6,), (6,), input=0), block(a, b, (6,), (6,), input=1)]
    found = diagnose(blocks)
    assert [found[1, 0, k].name for k in range(2)] == ["swapped inputs"] * 2
    assert found[1, 0, 0].text == "the gradient of input 0 is what input 1 should get"
    # a mixed second derivative given to the wrong input, which should have none
    mixed = [block(0 * a, a, (6,), (6,), input=0), block(a, 0 * a, (6,), (6,), input=1)]
    assert {c.name for c in diagnose(mixed).values()} == {"swapped inputs"}
    copied = diagnose([block(b, b, (6,), (6,), input=0), block(a, b, (6,), (6,), input=1)])
    assert list(copied) == [(1, 0, 1)] and copied[1, 0, 1].name == "swapped inputs"
    buffer = diagnose([block(b, b, (6,), (6,), input=0), block(a, a + b, (6,), (6,), input=1)])
    assert buffer[1, 0, 1].name == "added" and "input 0" in buffer[1, 0, 1].text
    # the cotangents of two outputs exchanged
    outputs = [block(b, a, (6,), (6,), output=0), block(a, b, (6,), (6,), output=1)]
    assert diagnose(outputs)[1, 1, 0].name == "misplaced"


def test_terms_added_and_left_out():
    rng = np.random.default_rng(0)
    J = rng.standard_normal((12, 12))
    shortcut = cause(J + np.eye(12), J, (3, 4), (3, 4))
    assert shortcut.name == "lost accumulation" and "shortcut" in shortcut.text
    decay = cause(J, J + rng.standard_normal(12), (3, 4), (3, 4))
    assert decay.name == "added" and "every output" in decay.text
    # 2 x for 2 (x - mean)
    rows = rng.standard_normal((3, 5))
    D, A = (np.einsum("ij,ik->ikj", v, np.eye(3)) for v in (rows - rows.mean(1)[:, None], rows))
    assert cause(D.swapaxes(0, 1), A.swapaxes(0, 1), (3,), (3, 5)).name == "added"
    # the target of a cross-entropy, one class too far
    D = -np.eye(5)[rng.integers(0, 5, 4)] + 0.2 * rng.random((4, 5))
    A = D.copy()
    A[0, :2] += -1, 1
    assert cause(D, A, (1,), (4, 5)).name == "misplaced"


def test_no_pattern_is_no_cause():
    rng = np.random.default_rng(0)
    J, K = rng.standard_normal((2, 12, 15))
    found = cause(J, K, (3, 4), (3, 5))
    assert found.name == "unknown" and found.confidence == 0 and "everywhere" in found.text


# ---------------------------------------------------------------------- where


@pytest.mark.parametrize(
    "at, words",
    [
        (np.s_[:], "everywhere"),
        (np.s_[1], "batch item 1"),
        (np.s_[:, 2], "channel 2 of the input"),
        (np.s_[:, :, [0, 3]], "border rows 0 and 3 of the input"),
        (np.s_[:, :, :, 1:4], "columns 1 to 3 of the input"),
        (np.s_[1, :, 0], "batch item 1, border row 0 of the input"),
        (np.s_[1, 2, 0, 0], "one element, output (1, 2, 0, 0), input (1, 2, 0, 0)"),
    ],
)
def test_where_in_an_image(at, words):
    shape = (2, 3, 4, 6)
    wrong = np.zeros(shape)
    wrong[at] = 1
    n = wrong.size
    assert where(block(np.eye(n), np.eye(n) + np.diag(wrong.ravel()), shape, shape)) == words


def test_where_else():
    n = 30
    D = np.random.default_rng(0).standard_normal((n, n))

    def place(mask, out=(5, 6), inp=(5, 6), x=None):
        return where(block(D, D + mask, out, inp, x))

    assert place(np.zeros((n, n))) == "nowhere"
    assert place(np.eye(n)) == "the diagonal"
    frame = np.ones((5, 6))
    frame[1:-1, 1:-1] = 0
    assert place(frame.ravel(), inp=(1, 1, 5, 6)) == "the border of the input"
    last = np.add.outer(np.arange(5) == 4, np.arange(6) == 5).reshape(n, 1)
    assert place(last, out=(1, 1, 5, 6)) == "the last windows"
    assert place(np.arange(n) % 5 == 2, inp=(6, 5)) == "index 2 of the input's axis 1"
    x = np.random.default_rng(1).permutation(np.linspace(-1, 1, n))
    assert place(x < 0, inp=(3, 2, 5), x=x) == "where the input is negative"
    some = np.random.default_rng(2).random((n, n)) < 1 / 3
    assert place(some) == "a third of the elements without a clear pattern"
    assert where(block(D[:4, :4], D[:4, :4] + 1 - np.eye(4), (4,), (4,))) == "off the diagonal"


# ---------------------------------------------------------------------- the planted faults


def rows(backward, fault, arrays, y):
    """One Jacobian per array, from one-hot cotangents."""
    gradients = []
    for hot in np.eye(y.size):
        found = backward(hot.reshape(y.shape), *arrays)
        found = found if isinstance(found, tuple) else (found,)
        gradients.append([np.zeros(x.shape) if g is None else g for g, x in zip(found, arrays)])
    return [np.array([np.ravel(g) for g in column]) for column in zip(*gradients)]


def test_nine_in_ten_planted_faults_are_named():
    """By the names that the set of planted faults gives them; ties need to know of kinks."""
    missed = []
    faults = [f for f in FAULTS if f.order == 1 and f.cause in NAMES - {"tie", "unknown"}]
    for fault in faults:
        arrays = fault.arrays()
        y = fault.forward(*arrays)
        if isinstance(y, tuple):
            continue
        right, wrong = (rows(b, fault, arrays, y) for b in (fault.right, fault.backward))
        blocks = [
            block(D, A, y.shape, x.shape, x, input=k)
            for k, (D, A, x) in enumerate(zip(right, wrong, arrays))
        ]
        names = {c.name for c in diagnose(blocks).values()}
        if names != {fault.cause}:
            missed.append(f"{fault.name}: {fault.cause}, named {sorted(names)}")
    assert len(faults) > 100
    assert len(missed) <= 0.1 * len(faults), "\n".join(missed)
