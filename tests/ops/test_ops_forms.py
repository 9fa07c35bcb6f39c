"""Forms of calls: ``*dims``, other names of arguments, operands of foreign types."""

import operator

import numpy as np
import pytest

import tinyconv as tc
import tinyconv.nn.functional as F


def test_dims_one_by_one():
    x = tc.zeros(1, 2, 1)
    assert x.squeeze(0, 2).shape == x.squeeze((0, 2)).shape == x.squeeze(dim=[0, -1]).shape == (2,)
    assert x.squeeze(()).shape == (1, 2, 1) and x.squeeze().shape == (2,)
    assert x.clone().squeeze_(0, 2).shape == (2,) and x.clone().squeeze_(0).shape == (2, 1)
    y = tc.tensor([[0, 1, 2], [3, 0, 0]])
    assert y.count_nonzero(0, 1) == y.count_nonzero() == y.count_nonzero(dim=(0, 1)) == 3
    assert y.count_nonzero(1).tolist() == tc.count_nonzero(y, 1).tolist() == [2, 1]
    for form in (((4, 2, 3),), (4, 2, 3)):
        assert y.broadcast_to(*form).shape == (4, 2, 3)
    assert tc.broadcast_to(y, size=(1, 2, 3)).shape == (1, 2, 3)


def test_places_of_cuts_one_by_one():
    x = tc.arange(24).reshape(2, 4, 3)
    for name, dim in (("vsplit", 0), ("hsplit", 1), ("dsplit", 2)):
        cut = getattr(x, name)
        whole = tc.tensor_split(x, (1, 2), dim)
        for pieces in (cut(1, 2), cut((1, 2)), cut(indices=[1, 2])):
            assert [p.tolist() for p in pieces] == [p.tolist() for p in whole]
        assert len(cut(1)) == len(cut(sections=1)) == 1
        with pytest.raises(TypeError, match=f"{name}: an argument is missing"):
            cut()


def test_arguments_by_their_other_names():
    x = tc.arange(4.0)
    assert [len(p) for p in x.split(split_size=3)] == [3, 1]
    assert len(x.tensor_split(tensor_indices_or_sections=tc.tensor([1, 2]))) == 3
    with pytest.raises(TypeError, match="split: one is given twice"):
        x.split(1, split_size=1)
    assert tc.zeros(4).copy_(other=x).tolist() == x.tolist()
    assert tc.isin(element=2, test_elements=x) and tc.isin(x, test_element=2).sum() == 1
    assert tc.tril_indices(2, 2, requires_grad=False).shape == (2, 3)
    with pytest.raises(RuntimeError, match="only floating point"):
        tc.triu_indices(2, 2, requires_grad=True)
    recorded = tc.enable_grad(orig_func=tc.is_grad_enabled)
    with tc.no_grad():
        assert recorded()


def test_numpy_by_force():
    x = tc.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="force|detach"):
        x.numpy()
    assert np.shares_memory(x.numpy(force=True), x.detach().numpy())


def test_random_slopes_of_a_generator():
    x, draw = -tc.ones(5), tc.Generator()
    first = tc.rrelu(x, 0.1, 0.9, True, generator=draw.manual_seed(3))
    assert tc.equal(first, F.rrelu(x, 0.1, 0.9, True, generator=draw.manual_seed(3)))
    assert not tc.equal(first, tc.rrelu(x, 0.1, 0.9, True, generator=draw))
    again = F.rrelu_(x.clone(), 0.1, 0.9, True, generator=draw.manual_seed(3))
    assert tc.equal(first, again)


# -- memory read as another dtype -----------------------------------------------------------------
def test_views_in_another_dtype():
    x = tc.ones(2, 4, requires_grad=True)
    bits = x.view(tc.int32)
    assert bits.tolist() == [[0x3F800000] * 4] * 2 and not bits.requires_grad
    assert x.view(dtype=tc.float64).shape == (2, 2) and x.view(np.int8).shape == (2, 16)
    y = tc.zeros(2)
    y.view(tc.int32).fill_(0x3F800000)  # the same memory
    assert y.tolist() == [1, 1]
    z = (x * 1).exp()
    loss = (z * z).sum()
    with tc.no_grad():
        z.view(tc.int32).fill_(0)
    with pytest.raises(RuntimeError, match="changed"):
        loss.backward()


@pytest.mark.parametrize(
    "x", [tc.tensor(1.0), tc.ones(2, 3), tc.ones(4, 2).t()], ids=["0-d", "odd", "strided"]
)
def test_views_in_another_dtype_that_cannot_be(x):
    with pytest.raises(RuntimeError, match="view: float32 .* cannot be read as float64"):
        x.view(tc.float64)


@pytest.mark.parametrize("size", [None, "a", 1.5])
def test_views_of_no_size(size):
    with pytest.raises(TypeError, match="view: wants whole numbers or a dtype"):
        tc.ones(2).view(size)


# -- operands of foreign types --------------------------------------------------------------------
class Foreign:
    """Answers every operator with its name."""


OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
for name in OPERATORS:
    setattr(Foreign, f"__r{name}__", lambda self, other, name=name: f"r{name}")
for name in ("lt", "le", "gt", "ge"):
    setattr(Foreign, f"__{name}__", lambda self, other, name=name: name)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_foreign_operand_gets_its_turn(name):
    x = tc.ones(2, 2, dtype=tc.int64)
    python = getattr(operator, f"{name}_" if name in ("and", "or") else name)
    inplace = getattr(operator, f"i{name}")
    assert python(x, Foreign()) == inplace(x, Foreign()) == f"r{name}"
    for a, b in ((x, object()), (object(), x)):
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\)"):
            python(a, b)


def test_a_foreign_operand_is_compared_with():
    x = tc.ones(2)
    assert [x < Foreign(), x <= Foreign(), x > Foreign(), x >= Foreign()] == [
        "gt",
        "ge",
        "lt",
        "le",
    ]
    with pytest.raises(TypeError, match="'<' not supported between"):
        x < None  # noqa: B015
    assert [1, 2] * tc.tensor(2) == [1, 2, 1, 2]  # a list's own


def test_other_errors_of_operands_stay():
    with pytest.raises(ValueError, match="add: shapes .* cannot be broadcast"):
        tc.ones(2) + tc.ones(3)
    with pytest.raises(TypeError, match="sub: bools have no difference"):
        tc.tensor(True) - tc.tensor(False)
    with pytest.raises(TypeError, match="add: wants a Tensor, got NoneType"):
        tc.add(tc.ones(2), None)


def test_shifts_in_place():
    x = tc.tensor([1, 2])
    y = x
    x <<= 2
    x >>= tc.tensor([0, 1])
    assert x is y and x.tolist() == [4, 4]
