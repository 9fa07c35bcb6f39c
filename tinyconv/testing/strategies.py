"""Hypothesis strategies for people who check derivatives: arrays, shapes, whole cases.

Sizes are usually all different (N != C, H != W, kh != kw ...), so nothing that mixes two of
them up can hide. Everything shrinks to the simplest thing that still fails: batch, channel,
image and kernel to 1, then stride, padding and dilation to nothing, values to small whole
numbers. Arrays are drawn as recipes (``Values``), which costs two numbers and not one an
element.

>>> from hypothesis import given
>>> import tinyconv as tc
>>> @given(tensors(away_from_kinks=0.1))
... def test_abs(x):
...     assert (tc.from_numpy(x).abs().numpy() >= 0.1).all()
>>> test_abs()
"""

import re

import numpy as np
from hypothesis import strategies as st

from tinyconv.testing.cases import KINDS, LAYOUTS, Case, Values

layouts = st.sampled_from(LAYOUTS)
seeds = st.integers(0, 999)
#: true nine times in ten; shrinks to false
mostly = st.sampled_from([False] + [True] * 9)
sometimes = st.sampled_from([False, False, True])


def _apart(sizes, least, most):
    """``sizes`` with repeated ones replaced by the next free number."""
    taken: list[int] = []
    for n in sizes:
        while n in taken and len(taken) <= most - least:
            n = n + 1 if n < most else least
        taken.append(n)
    return tuple(taken)


@st.composite
def sizes(draw, count, least=1, most=5):
    """``count`` whole numbers, usually all different."""
    numbers = draw(st.tuples(*[st.integers(least, most)] * count))
    return _apart(numbers, least, most) if draw(mostly) else numbers


@st.composite
def shapes(draw, least=0, most=4, smallest=1, largest=5, elements=60):
    """Shapes of ``least`` to ``most`` axes and at most ``elements`` elements."""
    shape = list(draw(sizes(draw(st.integers(least, most)), smallest, largest)))
    while np.prod(shape, dtype=int) > elements:
        shape[shape.index(max(shape))] -= 1
    return tuple(shape)


@st.composite
def recipes(
    draw, shape=None, *, dtype=np.float64, low=-3.0, high=3.0, kinks=(0.0,), away_from_kinks=0.0,
    integer=False, distinct=False, scales=False, kinds=None, layouts=layouts,
):  # fmt: skip
    """``Values``: what ``tensors`` draws, as recipes that print and paste."""
    if shape is None:
        shape = shapes()
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else tuple(shape)
    if kinds is None:
        kinds = KINDS[:2] if integer else (*KINDS, "uniform")
    kind = draw(st.sampled_from([k for k in kinds if k != "kinks" or not away_from_kinks]))
    return Values(
        shape, kind, draw(seeds), low, high, tuple(kinks), away_from_kinks, distinct,
        draw(st.sampled_from([1.0, 1.0, 1.0, 1e-6, 1e6])) if scales and not integer else 1.0,
        draw(layouts), np.dtype(dtype).name,
    )  # fmt: skip


def tensors(shape=None, **values):
    """NumPy arrays to differentiate at.

    Args:
        shape: a tuple, a strategy of them, or None for any.
        dtype: float64 or float32.
        low, high: bounds of the values.
        kinks: where the function bends; many draws lie on them or right beside them.
        away_from_kinks: keep that distance from ``kinks`` instead.
        integer: whole numbers only: exact arithmetic, many ties.
        distinct: no two elements equal.
        scales: some draws a million times larger or smaller.
        kinds: of ``Values``; all that fit by default.
        layouts: memory layouts (a strategy): contiguous, transposed, negative stride, step.
    """
    return recipes(shape, **values).map(Values.array)


@st.composite
def broadcast_shapes(draw, most=3, smallest=1):
    """Two shapes that broadcast, in either direction."""
    full = draw(shapes(0, most, smallest, 4))

    def thin():
        kept = tuple(n if draw(st.booleans()) else 1 for n in full)
        return kept[draw(st.integers(0, len(kept))) :]

    first = full if draw(st.booleans()) else thin()
    other = full if draw(st.booleans()) else thin()
    return first, other


@st.composite
def broadcast_pairs(draw, **values):
    """Two arrays that broadcast; keywords as in ``tensors``."""
    a, b = draw(broadcast_shapes())
    return draw(tensors(a, **values)), draw(tensors(b, **values))


# -- windows ------------------------------------------------------------------------------
def _options(**options):
    """``, name=value`` for what is not None."""
    return "".join(f", {k}={v!r}" for k, v in options.items() if v is not None)


def _or_none(value, identity):
    return None if value == identity else value


def _small(N, C, least, more, elements=120):
    """(N, H, W) of an image of ``least`` pixels and ``more``, cut until it is quick to check."""
    H, W = least[0] + more[0], least[1] + more[1]
    W += H == W > 1
    if N * C * H * W > elements:
        N = 1
    return (N, *least) if N * C * H * W > elements else (N, H, W)


@st.composite
def conv2d_cases(draw, **values):
    """``F.conv2d`` with any window, padding, groups and bias; keywords as in ``tensors``."""
    N, Cg, Og = draw(sizes(3, 1, 3))
    kh, kw = draw(sizes(2, 1, 3))
    more_h, more_w = draw(sizes(2, 0, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    if groups > 1:
        Cg, Og = min(Cg, 2), min(Og, 2)
    sh, sw = draw(sizes(2, 1, 3))
    left, right, top, bottom = draw(st.just((0,) * 4) | sizes(4, 0, 3))
    dh, dw = draw(sizes(2, 1, 2))
    least = max(1, dh * (kh - 1) + 1 - top - bottom), max(1, dw * (kw - 1) + 1 - left - right)
    N, H, W = _small(N, Cg * groups, least, (more_h, more_w))
    padding = draw(
        st.sampled_from([(left, right, top, bottom), (top + bottom, left + right), "same"])
        if left + right + top + bottom
        else st.sampled_from([None, "valid"])
    )
    options = _options(
        stride=_or_none((sh, sw), (1, 1)), padding=padding, dilation=_or_none((dh, dw), (1, 1)),
        groups=_or_none(groups, 1),
    )  # fmt: skip
    image = (Cg * groups, H, W)
    single = draw(sometimes) and N == 1
    inputs = dict(
        x=draw(recipes(image if single else (N, *image), **values)),
        w=draw(recipes((Og * groups, Cg, kh, kw), **values)),
    )
    if draw(st.booleans()):
        inputs["b"] = draw(recipes((Og * groups,), **values))
    return Case.of(f"F.conv2d({', '.join(inputs)}{options})", **inputs)


@st.composite
def conv_transpose2d_cases(draw, **values):
    """``F.conv_transpose2d`` with any window, padding, output padding, groups and bias."""
    N, Cg, Og = draw(sizes(3, 1, 3))
    kh, kw = draw(sizes(2, 1, 3))
    H, W = draw(sizes(2, 1, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    if groups > 1:
        Cg, Og = min(Cg, 2), min(Og, 2)
    sh, sw = draw(sizes(2, 1, 3))
    dh, dw = draw(sizes(2, 1, 2))
    more_h, more_w = draw(st.integers(0, max(sh, dh) - 1)), draw(st.integers(0, max(sw, dw) - 1))
    # a pixel at least is left
    most_h, most_w = (H - 1) * sh + dh * (kh - 1) + more_h, (W - 1) * sw + dw * (kw - 1) + more_w
    ph, pw = draw(st.integers(0, min(2, most_h // 2))), draw(st.integers(0, min(2, most_w // 2)))
    options = _options(
        stride=_or_none((sh, sw), (1, 1)), padding=_or_none((ph, pw), (0, 0)),
        output_padding=_or_none((more_h, more_w), (0, 0)), groups=_or_none(groups, 1),
        dilation=_or_none((dh, dw), (1, 1)),
    )  # fmt: skip
    image = (Cg * groups, H, W)
    inputs = dict(
        x=draw(recipes(image if draw(sometimes) else (N, *image), **values)),
        w=draw(recipes((Cg * groups, Og, kh, kw), **values)),
    )
    if draw(st.booleans()):
        inputs["b"] = draw(recipes((Og * groups,), **values))
    return Case.of(f"F.conv_transpose2d({', '.join(inputs)}{options})", **inputs)


def pool_cases(op=None, **values):
    """Pools of every kind, or of one: 'max_pool2d', 'avg_pool2d' or 'adaptive_...'.

    Windows overlap and hang over the end often. Keywords as in ``tensors``.
    """
    every = ("adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d")
    if op is None:
        return st.sampled_from(every).flatmap(lambda name: pool_cases(name, **values))
    if op not in every:
        raise ValueError(f"pool_cases: op={op!r}; wants one of {', '.join(every)}")
    return (_adaptive_cases if op.startswith("adaptive") else _pool_cases)(op, values)


@st.composite
def _pool_cases(draw, op, values):
    N, C = draw(sizes(2, 1, 3))
    kh, kw = draw(sizes(2, 1, 3))
    more_h, more_w = draw(sizes(2, 0, 4))
    sh, sw = draw(sizes(2, 1, 3))
    ceil_mode = draw(st.sampled_from([None, True, True]))
    if ceil_mode:  # a rest, so that a window hangs over
        more_h, more_w = more_h + (more_h % sh == 0), more_w + (more_w % sw == 0)
    left, right = (draw(st.integers(0, kw // 2)) for _ in range(2))
    top, bottom = (draw(st.integers(0, kh // 2)) for _ in range(2))
    dh, dw = draw(sizes(2, 1, 2)) if op == "max_pool2d" else (1, 1)
    # at least dh: else a dilated window could step over the whole image
    least = max(dh, dh * (kh - 1) + 1 - top - bottom), max(dw, dw * (kw - 1) + 1 - left - right)
    N, H, W = _small(N, C, least, (more_h, more_w))
    padding = (top, left) if (left, top) == (right, bottom) else (left, right, top, bottom)
    options = dict(
        stride=_or_none((sh, sw), (kh, kw)),
        padding=_or_none(padding, (0, 0)),
        dilation=_or_none((dh, dw), (1, 1)),
        ceil_mode=ceil_mode,
    )
    if op == "avg_pool2d":
        options["count_include_pad"] = draw(st.sampled_from([None, False]))
        options["divisor_override"] = draw(st.sampled_from([None, None, 5, -2]))
    shape = (C, H, W) if draw(sometimes) and N == 1 else (N, C, H, W)
    x = draw(recipes(shape, **values))
    text = f"F.{op}(x, ({kh}, {kw}){_options(**options)}"
    if op == "max_pool2d" and draw(sometimes):
        return Case.of(f"{text}, return_indices=True)[0]", x=x)
    return Case.of(f"{text})", x=x)


@st.composite
def _adaptive_cases(draw, op, values):
    N, C = draw(sizes(2, 1, 3))
    H, W = draw(sizes(2, 1, 5))
    output = draw(st.sampled_from([1, (None, 2)]) | sizes(2, 1, 4))
    x = draw(recipes((N, C, H, W), **values))
    return Case.of(f"F.{op}(x, {output})", x=x)


# -- normalisation ------------------------------------------------------------------------
@st.composite
def norm_cases(draw, **values):
    """``F.batch_norm`` in training and evaluation; some channels constant or far from zero."""
    N, C = draw(sizes(2, 1, 4))
    image = draw(sizes(draw(st.integers(0, 2)), 1, 3))
    mode = draw(st.sampled_from(["training", "training with running statistics", "evaluation"]))
    training = mode != "evaluation"
    if training and N * np.prod(image, dtype=int) < 2:
        N = 2
    inputs = dict(x=draw(recipes((N, C, *image), **values)))
    x = draw(st.sampled_from(["x", "x", "x + 100", "x * s"]))
    if x == "x * s":  # 0, 1, 2, ...: the first channel is constant
        inputs["s"] = Values((1, C) + (1,) * len(image), low=0.0)
    arguments = [x, "None", "None"]
    if mode == "evaluation":
        inputs["mean"] = draw(recipes((C,), **values))
        inputs["var"] = draw(recipes((C,), **{**values, "low": 0.5, "high": 4.0}))
        arguments[1:] = ["mean", "var"]
    elif mode != "training":
        arguments[1:] = [f"tc.{f}({C}, dtype=x.dtype)" for f in ("zeros", "ones")]
    affine = draw(st.sampled_from(["", "w", "b", "wb"]))
    for name, keyword in (("w", "weight"), ("b", "bias")):
        if name in affine:
            inputs[name] = draw(recipes((C,), **values))
            arguments.append(f"{keyword}={name}")
    arguments += ["training=True"] if training else []
    eps = draw(st.sampled_from([None, 0.1, 1e-3]))
    return Case.of(f"F.batch_norm({', '.join(arguments)}{_options(eps=eps)})", **inputs)


# -- networks -----------------------------------------------------------------------------
@st.composite
def networks(draw, most=6):
    """A small random network: convolutions, pools, norms, cat and residual sums of what came
    before. Differentiated in its input and in all its parameters.

    Values are generic: on an exact kink inside, the chain rule of any autograd may give what
    is no slope at all (relu(x) - relu(-x) at 0), and no checker could tell who is wrong.
    """
    generic = dict(kinds=("uniform",), distinct=True)
    image = draw(sizes(4, 1, 3))
    inputs = {"x": draw(recipes(image, **generic))}
    known = [("x", image)]
    lines = []
    for i in range(1, draw(st.integers(1, most)) + 1):
        name, shape = draw(st.sampled_from(known[::-1]))
        layer = draw(st.sampled_from(_LAYERS))
        text, shape = layer(draw, name, shape, known, inputs, i, generic)
        lines.append(f"h{i} = {text}")
        known.append((f"h{i}", shape))
    # every branch counts: what nobody used goes into the result
    used = {word for line in lines for word in re.findall(r"\w+", line.partition("=")[2])}
    ends = [name for name, _ in known if name not in used]
    pooled = [f"{h}.mean((2, 3))" for h in ends]
    lines.append(ends[0] if len(ends) == 1 else f"tc.cat([{', '.join(pooled)}], 1)")
    return Case.of("\n".join(lines), **inputs)


def _tanh(draw, h, shape, known, inputs, i, generic):
    return f"tc.tanh({h})", shape


def _relu(draw, h, shape, known, inputs, i, generic):
    return f"F.relu({h})", shape


def _residual(draw, h, shape, known, inputs, i, generic):
    other = draw(st.sampled_from([k for k, s in known if s == shape]))
    return f"{h} + {other}", shape


def _cat(draw, h, shape, known, inputs, i, generic):
    fit = [(k, s) for k, s in known if s[:1] + s[2:] == shape[:1] + shape[2:]]
    other, (_, C, _, _) = draw(st.sampled_from(fit))
    if shape[1] + C > 5:
        return _residual(draw, h, shape, known, inputs, i, generic)
    return f"tc.cat([{h}, {other}], 1)", (shape[0], shape[1] + C, *shape[2:])


def _conv(draw, h, shape, known, inputs, i, generic):
    N, C, H, W = shape
    O, kh, kw = draw(sizes(3, 1, 3))
    inputs[f"w{i}"] = draw(recipes((O, C, kh, kw), **generic))
    return f"F.conv2d({h}, w{i}, padding='same')", (N, O, H, W)


def _norm(draw, h, shape, known, inputs, i, generic):
    if shape[0] * shape[2] * shape[3] < 2:
        return _tanh(draw, h, shape, known, inputs, i, generic)
    inputs[f"g{i}"] = draw(recipes(shape[1:2], **generic))
    return f"F.batch_norm({h}, None, None, g{i}, training=True, eps=0.1)", shape


def _pool(draw, h, shape, known, inputs, i, generic):
    N, C, H, W = shape
    op = draw(st.sampled_from(["avg_pool2d", "max_pool2d"]))
    kh, kw = min(H, 2), min(W, 3)
    return f"F.{op}({h}, ({kh}, {kw}), 1)", (N, C, H - kh + 1, W - kw + 1)


_LAYERS = (_tanh, _relu, _residual, _cat, _conv, _norm, _pool)
