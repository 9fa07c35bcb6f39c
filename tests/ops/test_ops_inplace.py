"""Writing in place: where it is allowed it really writes; where it would be lost it raises."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyconv as tc
import tinyconv.nn.functional as F
from tinyconv.ops.inplace import NAMES, is_seen


@pytest.mark.parametrize(
    "write, wanted",
    [
        (lambda x: x.zero_(), [0, 0]), (lambda x: x.fill_(7), [7, 7]),
        (lambda x: x.copy_(tc.tensor([5, 6])), [5, 6]), (lambda x: x.copy_(tc.tensor(5.0)), [5, 5]),
        (lambda x: x.add_(1), [5, 10]), (lambda x: x.add_(tc.ones(2), alpha=2), [6, 11]),
        (lambda x: x.sub_(1), [3, 8]), (lambda x: x.mul_(tc.tensor([2.0, 3.0])), [8, 27]),
        (lambda x: x.div_(2), [2, 4.5]), (lambda x: x.pow_(2), [16, 81]),
        (lambda x: x.sqrt_(), [2, 3]), (lambda x: x.clamp_(5, 8), [5, 8]),
        (lambda x: x.neg_(), [-4, -9]), (lambda x: x.sub_(5).relu_(), [0, 4]),
        (lambda x: x.zero_().exp_(), [1, 1]),
        (lambda x: x.addcmul_(tc.ones(2), tc.full((2,), 3.0), value=2), [10, 15]),
        (lambda x: x.addcdiv_(tc.ones(2), tc.full((2,), 4.0), value=2), [4.5, 9.5]),
        (lambda x: x.mul_(x), [16, 81]), (lambda x: x.mul_(0.5).add_(1, alpha=3), [5, 7.5]),
    ],
)  # fmt: skip
def test_writes_go_into_the_memory_and_count(write, wanted):
    x = tc.tensor([4.0, 9.0])
    array, version = x.array, x._version
    assert write(x) is x and x.array is array
    assert x.tolist() == wanted and x.dtype == np.float32 and x._version > version


def test_random_writes():
    x = tc.empty(1000)
    assert 2 <= x.uniform_(2, 3).numpy().min() < x.numpy().max() < 3
    assert abs(x.normal_(5, 0.1).numpy().mean() - 5) < 0.05


def test_item_assignment():
    x = tc.zeros(2, 3)
    x[0, 1] = 5
    x[1] = tc.tensor([1.0, 2.0, 3.0])
    x[x > 2] = -1
    x[:, [0, 2]] *= 10
    assert x.tolist() == [[0, -1, 0], [10, 2, -10]]


def test_augmented_assignment_on_a_recorded_tensor_changes_the_tensor():
    x = tc.ones(2, requires_grad=True)
    y = z = x * 2
    y += 1
    y *= x
    assert z is y and y.tolist() == [3, 3]
    y.sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_augmented_assignment_on_a_seen_tensor_makes_a_new_one():
    x = tc.ones(2, requires_grad=True)
    y = x * 2
    view = held = y[:1]
    view += 1
    assert held.tolist() == [2] and view.tolist() == [3]
    del held
    y[1:] *= x[1:] * 3
    assert y.tolist() == [2, 6]


def test_augmented_assignment_of_a_recorded_value_to_a_plain_one_is_recorded():
    x, total = tc.ones(2, requires_grad=True), tc.zeros(2)
    for _ in range(3):
        total += x * 2
    total.sum().backward()
    assert x.grad.tolist() == [6, 6]


def test_augmented_assignment_without_gradients_writes():
    x = tc.ones(2)
    alias = x
    x += 1
    x -= 0.5
    x /= 3
    assert alias is x and alias.tolist() == [0.5, 0.5]


def test_a_step_of_gradient_descent_written_by_hand():
    w = tc.ones(2, requires_grad=True)
    (w * w).sum().backward()
    held = w
    with tc.no_grad():
        w -= 0.25 * w.grad
    w.grad.zero_()
    assert held is w and w.tolist() == [0.5, 0.5] and w.is_leaf and w.grad.tolist() == [0, 0]
    w.data.sub_(tc.ones(2))
    assert w.tolist() == [-0.5, -0.5] and w.requires_grad


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda leaf, y, plain: leaf.add_(1), "leaf tensor that requires grad.*no_grad"),
        (lambda leaf, y, plain: leaf.__iadd__(1), "leaf tensor that requires grad"),
        (lambda leaf, y, plain: leaf.__setitem__(0, 1.0), "item assignment: a leaf"),
        (lambda leaf, y, plain: (y[0], y.mul_(2)), "mul_: .*recorded by Mul.*without the under"),
        (lambda leaf, y, plain: y[0].mul_(2), "mul_: .*recorded by GetItem"),
        (lambda leaf, y, plain: (y.detach(), y.__setitem__(0, 1.0)), "item assign.*by Mul"),
        (lambda leaf, y, plain: (plain.numpy(), plain.add_(leaf)), "looks at its memory"),
        (lambda leaf, y, plain: (plain.view(-1), plain.copy_(y)), "looks at its memory"),
        (lambda leaf, y, plain: plain[:1].__setitem__(0, y[0]), "looks at its memory"),
        (lambda leaf, y, plain: y.add_(tc.ones(3, 2)), r"\[3, 2\] does not fit into \[2\]"),
        (lambda leaf, y, plain: tc.arange(2).mul_(y), "float32 cannot be written into int64"),
        (lambda leaf, y, plain: plain.add_(tc.ones(3, 2)), r"\[3, 2\] does not fit into \[2\]"),
        (lambda leaf, y, plain: tc.arange(2).add_(0.5), "cannot be written into int64"),
        (lambda leaf, y, plain: tc.arange(2).__iadd__(0.5), "cannot be written into int64"),
        (lambda leaf, y, plain: plain.__setitem__(slice(0, 2), tc.ones(3)), "item assignment"),
    ],
)
def test_writes_that_would_be_lost_raise_and_change_nothing(call, words):
    leaf, plain = tc.ones(2, requires_grad=True), tc.ones(2)
    y = leaf * 2
    with pytest.raises(RuntimeError, match=words):
        call(leaf, y, plain)
    assert leaf.tolist() == [1, 1] and y.tolist() == [2, 2] and plain.tolist() == [1, 1]


def test_assigning_data_replaces_the_memory_and_keeps_the_leaf():
    w = tc.ones(2, requires_grad=True)
    w.data = tc.zeros(3)
    assert w.shape == (3,) and w.requires_grad and w.is_leaf


# -- on recorded tensors ----------------------------------------------------------------------
def _leaf(*values):
    return tc.tensor(values, dtype=tc.float64, requires_grad=True)


def test_a_recorded_tensor_becomes_the_result():
    x, w = _leaf(1, 2), _leaf(3, 4)
    y = x * 2
    assert y.add_(w).mul_(w) is y and not y.is_leaf
    assert y.tolist() == [15, 32]
    y.sum().backward()
    assert x.grad.tolist() == [6, 8] and w.grad.tolist() == [2 + 6, 4 + 8]


def test_a_plain_tensor_becomes_a_recorded_one():
    x, total = _leaf(1, 2), tc.zeros(2, dtype=tc.float64)
    assert total.is_leaf
    total.add_(x).add_(x, alpha=2)
    assert total.requires_grad and total.tolist() == [3, 6]
    (g,) = tc.autograd.grad(total.sum(), x)
    assert g.tolist() == [3, 3]


@pytest.mark.parametrize("function", [tc.relu, tc.exp, tc.sqrt, lambda x: x * x])
def test_who_saved_the_old_values_keeps_them(function):
    """PyTorch raises in backward here; the old values are there, so the gradient is right."""
    x, a = _leaf(1, 4), _leaf(1, 4)
    y = function(x)
    z = y * y
    y.add_(1).mul_(3)
    b = function(a)
    wanted = tc.autograd.grad((b * b + (b + 1) * 3).sum(), a)
    assert tc.autograd.grad((z + y).sum(), x)[0].tolist() == wanted[0].tolist()


def test_memory_that_was_looked_at_is_free_again():
    x = _leaf(1, 2)
    y = x * 2
    y.detach().numpy().sum()
    y[0].item()
    assert y.mul_(2).tolist() == [4, 8]
    y = (x * 2).reshape(2, 1)  # what it is a view of is gone
    assert y.mul_(2).tolist() == [[4], [8]]


def test_arrays_that_are_held_elsewhere_are_seen():
    array, x = np.ones(2), _leaf(1, 2)
    with pytest.raises(RuntimeError, match="looks at its memory"):
        tc.from_numpy(array).add_(x)
    y = x * 2
    held = y.detach().numpy()
    with pytest.raises(RuntimeError, match="looks at its memory"):
        y.add_(1)
    assert held.tolist() == [2, 4] and array.tolist() == [1, 1]


def test_second_derivatives_go_through():
    x = _leaf(2, 3)
    y = x * x
    y.mul_(x).add_(x)
    (g,) = tc.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [13, 28]
    assert tc.autograd.grad(g.sum(), x)[0].tolist() == [12, 18]


def test_assigned_items_send_gradients_to_both_sides():
    x, v = _leaf(1, 2, 3), _leaf(4, 5)
    y = x * 2
    y[1:] = v * 3
    y[0:1] *= v[0]
    assert y.tolist() == [8, 12, 15]
    y.sum().backward()
    assert x.grad.tolist() == [8, 0, 0] and v.grad.tolist() == [3 + 2, 3]


def test_of_values_assigned_to_one_place_the_last_gets_the_gradient():
    x, v = _leaf(1, 2), _leaf(4, 5, 6)
    y = x * 1
    y[tc.tensor([0, 1, 0])] = v
    assert y.tolist() == [6, 5]
    y.sum().backward()
    assert v.grad.tolist() == [0, 1, 1] and x.grad.tolist() == [0, 0]


def test_a_mixed_index_is_read_as_pytorch_reads_it():
    x, v = tc.zeros(2, 3, 4, requires_grad=True), tc.arange(6).reshape(3, 2).float()
    y, plain = x * 1, tc.zeros(2, 3, 4)
    y[1, :, [0, 2]] = v
    plain[1, :, [0, 2]] = v
    assert y[1, :, 2].tolist() == [1, 3, 5] and tc.equal(y, plain)


def test_a_scalar_and_a_mask_are_assigned():
    x = _leaf(-1, 2, -3)
    y = x * 1
    y[y < 0] = 0
    y[1] = x[0] * x[2]
    y.sum().backward()
    assert y.tolist() == [0, 3, 0] and x.grad.tolist() == [-3, 0, -1]


def test_filled_ones_still_require_grad_and_get_zeros():
    x = _leaf(1, 2)
    for fill in ("zero_", "uniform_", "normal_", "exponential_", "bernoulli_", "round_", "sign_"):
        y = x * 2
        if hasattr(y, fill):
            assert getattr(y, fill)().requires_grad, fill
            assert tc.autograd.grad(y.sum(), x)[0].tolist() == [0, 0], fill


def test_retained_gradients_are_those_of_the_newest_value():
    x = _leaf(1, 2)
    y = x * 2
    y.retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))  # of the value that it has now
    y.mul_(3)
    (y * y).sum().backward()
    assert y.grad.tolist() == [12, 24] and seen == [[36, 72]]


def test_the_way_of_a_view_is_changed_without_touching_memory():
    x = _leaf(1, 2)
    y = x * 2
    view = y[:]
    assert y.unsqueeze_(0).shape == (1, 2) and y.transpose_(0, 1).squeeze_(1).shape == (2,)
    assert view.shape == (2,)
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="leaf tensor that requires grad"):
        x.t_()


def test_detached_in_place():
    x = _leaf(1, 2)
    y = x * 2
    assert y.detach_() is y and y.is_leaf and not y.requires_grad


def test_inside_modules_sums_in_place_are_fused_as_others():
    class Block(tc.nn.Module):
        def __init__(self, in_place):
            super().__init__()
            self.conv = tc.nn.Conv2d(2, 2, 3, padding=1)
            self.bn, self.in_place = tc.nn.BatchNorm2d(2), in_place

        def forward(self, x):
            out = self.bn(self.conv(x))
            if self.in_place:
                out.add_(x)
                out.relu_()
                return out
            return tc.relu(out + x)

    x = tc.randn(3, 2, 5, 4, requires_grad=True)
    blocks = Block(True), Block(False)
    blocks[1].load_state_dict(blocks[0].state_dict())
    results = []
    for block in blocks:
        y = block(x)
        results.append((y, *tc.autograd.grad((y * y).sum(), [x, *block.parameters()])))
    for a, b in zip(*results):
        assert tc.allclose(a, b, atol=1e-5)


def test_a_checkpoint_does_not_run_again_on_changed_inputs():
    def twice(x):
        return (x * x).exp()

    x = _leaf(0.1, 0.2)
    h = x * 2
    y = tc.autograd.checkpoint(twice, h)
    h.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="changes .* in place"):
        tc.autograd.checkpoint(lambda t: t.mul_(2).exp(), x * 2)


# -- random programs, against PyTorch ---------------------------------------------------------
_UNARY = "exp sigmoid relu tanh neg sin".split()
_BINARY = "add mul sub".split()


@st.composite
def _programs(draw):
    """Lines of code on two leaves x, w (2, 3), a plain tensor p, and what they make."""
    names, lines = ["x", "w", "p"], []
    shapes = dict.fromkeys(names, (2, 3))

    def pick():
        return draw(st.sampled_from(names))

    for i in range(draw(st.integers(1, 7))):
        a, new = pick(), f"v{i}"
        same = [n for n in names if shapes[n] == shapes[a]]
        b = draw(st.sampled_from(same))
        kind = draw(st.sampled_from("new new unary inplace inplace iadd view item put del".split()))
        if kind == "new":
            lines.append(f"{new} = {a}.{draw(st.sampled_from(_BINARY))}({b})")
        elif kind == "unary":
            lines.append(f"{new} = {a}.{draw(st.sampled_from(_UNARY))}()")
        elif kind == "inplace":
            op = draw(
                st.sampled_from(
                    [f"{u}_()" for u in _UNARY]
                    + [f"{m}_({b})" for m in _BINARY]
                    + ["zero_()", "mul_(0.5)", "clamp_(-1, 1)", "fill_(2)"]
                )
            )
            lines.append(f"{a}.{op}")
            continue
        elif kind == "iadd":
            lines.append(f"{a} {draw(st.sampled_from('+-*'))}= {b}")
            continue
        elif kind == "view" and shapes[a] == (2, 3):
            look, shape = draw(st.sampled_from(
                [("[0]", (3,)), (".view(3, 2)", (3, 2)), (".detach()", (2, 3)), ("[:, 1:]", (2, 2)),
                 (".t()", (3, 2))]))  # fmt: skip
            lines.append(f"{new} = {a}{look}")
            shapes[new] = shape
            names.append(new)
            continue
        elif kind == "item" and shapes[a] == (2, 3):
            lines.append(
                draw(
                    st.sampled_from(
                        [
                            f"{a}[0] = {b}[1]" if shapes[b] == (2, 3) else f"{a}[0] = 3.0",
                            f"{a}[:, 1] *= 2",
                            f"{a}[[1, 0], [0, 2]] = 0.5",
                            f"{a}[{b} > 0] = 1.0",
                        ]
                    )
                )
            )
            continue
        elif kind == "del" and a.startswith("v"):
            lines.append(f"del {a}")
            names.remove(a)
            continue
        else:
            continue
        shapes[new] = shapes[a]
        names.append(new)
    return lines, names


def _run(lines, names, leaves, seen=lambda value: False):
    """Names of the results, their values and the gradients; None if the way is another."""
    space = dict(leaves)
    for line in lines:
        target = line.split()[0]
        if re.match(r"\w+ [-+*]=", line) and seen(space[target]):
            return None
        exec(line, space)
    space.pop("__builtins__", None)
    total = sum((v * (i + 1)).sum() for i, (_, v) in enumerate(sorted(space.items())))
    if total.requires_grad:
        total.backward()
    return {n: v.detach().tolist() for n, v in space.items()}, [
        None if leaves[n].grad is None else leaves[n].grad.tolist() for n in "xw"
    ]


@settings(max_examples=150, deadline=None)
@given(_programs(), st.integers(0, 9))
def test_random_programs_do_what_they_do_in_pytorch_or_raise(program, seed):
    torch = pytest.importorskip("torch")
    lines, names = program
    values = np.random.default_rng(seed).uniform(-2, 2, (3, 2, 3))
    theirs = {n: torch.tensor(v, requires_grad=n != "p") for n, v in zip("xwp", values)}
    ours = {n: tc.tensor(v, requires_grad=n != "p") for n, v in zip("xwp", values)}
    try:
        wanted = _run(lines, names, theirs)
    except RuntimeError:
        return  # no program
    try:
        found = _run(lines, names, ours, is_seen)
    except RuntimeError as error:
        assert re.search("looks at its memory|changed in place|leaf tensor", str(error)), error
        return
    if found is not None:
        for name in wanted[0]:
            np.testing.assert_allclose(found[0][name], wanted[0][name], 1e-9, err_msg=name)
        for a, b in zip(found[1], wanted[1]):
            np.testing.assert_allclose(0 if a is None else a, 0 if b is None else b, 1e-9)


# -- every name -------------------------------------------------------------------------------
_i, _m = tc.tensor([1, 0]), tc.tensor([[True, False, True], [False, True, False]])
_other = tc.tensor([[0.5, 1.5, 2.5], [0.75, 0.25, 3.0]])
_whole = tc.tensor([[1, 0, 2], [3, 1, 1]])
_square = tc.ones(2, 2)
#: what an op needs besides the tensor (default: nothing, or another tensor); bools or integers
_ARGUMENTS = {
    "addbmm": (tc.ones(2, 2, 2), tc.ones(2, 2, 3)), "addcdiv": (_other, _other),
    "addcmul": (_other, _other), "addmm": (_square, _other), "addmv": None, "baddbmm": None,
    "addr": (tc.ones(2), tc.ones(3)), "clamp": (0.6, 2.0), "clamp_max": (0.6,),
    "clamp_min": (0.6,), "clip": (0.6, 2.0), "cumprod": (1,), "cumsum": (1,),
    "index_add": (0, _i, _other), "index_copy": (0, _i, _other), "index_fill": (0, _i, 7.0),
    "index_put": ((_i, _i), tc.ones(2)), "lerp": (_other, 0.25), "masked_fill": (_m, 7.0),
    "masked_scatter": (_m, _other), "nan_to_num": (), "put": (_i, tc.ones(2)),
    "renorm": (2, 0, 1.0), "scatter": (1, _whole % 3, _other),
    "scatter_add": (1, _whole % 3, _other), "scatter_reduce": (1, _whole % 3, _other, "amax"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES.split())
def test_each_name_is_the_op_without_the_underscore(name):
    values, op = tc.tensor([[0.1, 0.9, 0.5], [0.7, 0.3, 0.2]]), getattr(tc.Tensor, name[:-1])
    arguments = _ARGUMENTS.get(name[:-1], ())
    if arguments is None:  # other ranks
        return
    for first in (values, _whole, _m):
        found = None
        for others in (arguments, (_other,), (_whole,)):
            try:
                found = op(first, *others)
                break
            except (TypeError, RuntimeError, ValueError):
                continue
        if found is not None:
            break
    assert found is not None, "no arguments fit"
    plain = first.clone()
    assert getattr(plain, name)(*others) is plain
    assert plain.dtype == first.dtype
    np.testing.assert_allclose(plain.numpy(), found.to(first.dtype).numpy())
    if first is values:
        leaf = values.clone().requires_grad_()
        changed, wanted = leaf * 1, op(leaf, *others).to(values.dtype)
        getattr(changed, name)(*others)
        assert changed.requires_grad and tc.allclose(changed, plain, equal_nan=True)
        expected = 0
        if wanted.requires_grad:
            (expected,) = tc.autograd.grad(wanted.sum(), leaf)
        (g,) = tc.autograd.grad(changed.sum(), leaf)
        np.testing.assert_allclose(g.numpy(), getattr(expected, "array", expected))


@pytest.mark.parametrize("act", [F.relu, F.hardswish, tc.nn.ReLU6(inplace=True)])
def test_inplace_true_changes_what_the_shortcut_reads(act):
    options = {} if isinstance(act, tc.nn.Module) else {"inplace": True}
    w = tc.tensor([1.0, -5.0, 8.0], requires_grad=True)
    x = w * 1
    shortcut = x
    y = act(x, **options)
    assert y is x
    plain = act(w.detach().clone(), **options)
    (shortcut + y).sum().backward()
    assert x.tolist() == plain.tolist() and w.grad[1] == 0


def test_inplace_true_leaves_what_others_look_at():
    w = tc.tensor([1.0, -5.0], requires_grad=True)
    x = w * 1
    view = x[:]
    y = F.relu(x, inplace=True)
    assert y is not x and view.tolist() == x.tolist() == [1, -5] and y.tolist() == [1, 0]
    assert F.relu(w, inplace=True) is not w and w.tolist() == [1, -5]


def test_inplace_true_writes_where_nothing_is_recorded():
    x = tc.tensor([[1.0, -5.0], [-1.0, 2.0]])
    row = x[1]
    assert F.relu(row, inplace=True) is row and x.tolist() == [[1, -5], [0, 2]]


# -- views in place, and numbers to write -----------------------------------------------------
def test_a_view_in_place_without_recording_leaves_a_parameter_trained():
    w = tc.ones(2, 3, requires_grad=True)
    with tc.no_grad():
        w.t_()
    assert w.shape == (3, 2) and w.requires_grad and w.is_leaf
    (w * 2).sum().backward()
    assert w.grad.tolist() == [[2, 2]] * 3


def test_a_view_in_place_without_recording_keeps_the_history():
    x = tc.ones(1, 2, requires_grad=True)
    y = x * 3
    with tc.no_grad():
        y.squeeze_()
    assert y.shape == (2,)
    y.sum().backward()
    assert x.grad.tolist() == [[3, 3]]


@pytest.mark.parametrize("value", [None, "3", [1, 2], np.ones(1), object()])
def test_only_numbers_are_filled_in(value):
    x, places = tc.zeros(3, 3), tc.tensor([1])
    for fill in (
        lambda: x.fill_(value),
        lambda: x.fill_diagonal_(value),
        lambda: x.masked_fill(x > 0, value),
        lambda: x.masked_fill_(x > 0, value),
        lambda: x.index_fill(0, places, value),
        lambda: x.scatter(0, places[None], value),
        lambda: x.scatter(0, places[None], value=value),
    ):
        with pytest.raises(TypeError, match="must be a number or a 0-d tensor|missing"):
            fill()
    assert not x.any()


def test_windows_that_share_memory_are_not_written_into():
    x = tc.zeros(5)
    windows = x.unfold(0, 3, 1)
    with pytest.raises(RuntimeError, match="add_: elements of the tensor share their memory"):
        windows.add_(1)
    with pytest.raises(RuntimeError, match="item assignment: elements .* share their memory"):
        windows[1:] = tc.ones(3)
    assert not x.any()
    windows[:, 0] = tc.tensor([1.0, 2.0, 3.0])  # these do not
    x.unfold(0, 2, 2).add_(1)
    x[::2].mul_(2)
    assert x.tolist() == [4, 3, 8, 1, 0]
    assert windows.fill_(7).tolist() == [[7] * 3] * 3  # one number does no harm
