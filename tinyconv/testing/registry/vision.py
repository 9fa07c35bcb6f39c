"""Ops that move pixels: borders, columns, other sizes, places between pixels."""

from hypothesis import strategies as st

from tinyconv.testing.cases import Case, Values
from tinyconv.testing.registry.table import register, spelled
from tinyconv.testing.strategies import _options, recipes, sizes


@st.composite
def border_cases(draw, mode):
    """``F.pad`` in a mode that shows the inside again; some sides are cut."""
    axes = draw(st.integers(1, 3))
    shape = draw(sizes(axes + draw(st.integers(1, 2)), 1, 3 if axes == 3 else 4))
    most = {"reflect": -1, "circular": 0, "replicate": 2}[mode]
    widths = []
    for n in shape[: -axes - 1 : -1]:
        least = -1 if n > 2 else 0
        a = draw(st.integers(least, min(2, n + most)))
        # what goes around is what the other side leaves
        left = n + min(a, 0) if mode == "circular" else n
        widths += [a, draw(st.integers(0 if a < 0 else least, min(2, left + most)))]
    return Case.of(f"F.pad(x, {tuple(widths)}, {mode!r})", x=draw(recipes(shape)))


register("pad reflect", border_cases("reflect"))
register("pad replicate", border_cases("replicate"))
register("pad circular", border_cases("circular"))

_SHUFFLED = recipes((2, 8, 3, 1))
_PIXELS = recipes((2, 1, 6, 4))
register(
    "pixel_shuffle", *spelled("F.pixel_shuffle(x, 2)", "tc.pixel_shuffle(x[0], 2)", x=_SHUFFLED)
)
register(
    "pixel_unshuffle", *spelled("F.pixel_unshuffle(x, 2)", "tc.pixel_unshuffle(x[1], 2)", x=_PIXELS)
)
register(
    "channel_shuffle",
    *spelled("F.channel_shuffle(x, 4)", "tc.channel_shuffle(x[..., 0], 2)", x=_SHUFFLED),
)


@st.composite
def column_cases(draw, op):
    """``F.unfold`` or ``F.fold`` with any window."""
    N, C, kh, kw = draw(sizes(4, 1, 3))
    (dh, dw), (ph, pw), (sh, sw) = (draw(sizes(2, *ends)) for ends in ((1, 2), (0, 2), (1, 3)))
    more = draw(sizes(2, 0, 3))
    H, W = (
        max(1, d * (k - 1) + 1 - 2 * p) + m
        for k, d, p, m in zip((kh, kw), (dh, dw), (ph, pw), more)
    )
    options = _options(dilation=(dh, dw), padding=(ph, pw), stride=(sh, sw))
    window = f"({kh}, {kw}){options}"
    lead = () if draw(st.booleans()) else (N,)
    if op == "unfold":
        return Case.of(f"F.unfold(x, {window})", x=draw(recipes((*lead, C, H, W))))
    Ho = (H + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    Wo = (W + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    x = draw(recipes((*lead, C * kh * kw, Ho * Wo)))
    return Case.of(f"F.fold(x, ({H}, {W}), {window})", x=x)


register("unfold", column_cases("unfold"))
register("fold", column_cases("fold"))


@st.composite
def resized(draw, call, axes, options=("",)):
    """``call`` of images of so many ``axes``, to a size or by a scale."""
    shape = (*draw(sizes(2, 1, 2)), *draw(sizes(axes, 1, 5 if axes < 3 else 3)))
    size = draw(sizes(axes, 1, 6 if axes < 3 else 3))
    factors = draw(st.sampled_from([2, 1.5, 2.6]) | sizes(axes, 1, 3))
    to = draw(st.sampled_from([f"{size}", f"scale_factor={factors}"]))
    return Case.of(f"{call.format(to=to)}", x=draw(recipes(shape)))


def resizing(name, *variants):
    register(name, *(resized(call, axes) for call, axes in variants))


_ALIGNED = "F.interpolate(x, {{to}}, mode={mode!r}, align_corners=True)"
_PLAIN = "F.interpolate(x, {{to}}, mode={mode!r})"
for _name, _modes in dict(
    nearest=[("nearest", 1), ("nearest", 2), ("nearest-exact", 2), ("nearest-exact", 3)],
    linear=[("linear", 1), ("bilinear", 2), ("trilinear", 3)], bicubic=[("bicubic", 2)],
    area=[("area", 1), ("area", 2), ("area", 3)],
).items():  # fmt: skip
    _spellings = [(_PLAIN.format(mode=mode), axes) for mode, axes in _modes]
    if _name in ("linear", "bicubic"):
        _spellings += [(_ALIGNED.format(mode=mode), axes) for mode, axes in _modes]
    resizing(f"interpolate {_name}", *_spellings)
resizing(
    "upsample", ("F.upsample(x, {to})", 2), ("F.upsample_nearest(x, {to})", 2),
    ("F.upsample_bilinear(x, {to})", 2),
)  # fmt: skip
register(
    "interpolate by recomputed scales",
    *spelled(
        "F.interpolate(x, scale_factor=1.4, mode='bilinear', recompute_scale_factor=True)",
        "F.interpolate(x, scale_factor=(0.7, 2.3), recompute_scale_factor=True)",
        x=recipes((2, 1, 5, 3)),
    ),
    # so large that only a band of the matrix is multiplied
    examples=[
        Case.of("F.interpolate(x, 99, mode='linear')", x=Values((1, 1, 70), "uniform")),
        Case.of("F.interpolate(x, (2, 30), mode='bicubic')", x=Values((1, 1, 1, 180), "uniform")),
    ],
)  # fmt: skip

#: between the pixels of a 4 x 3 x 2 image and between mirrors, where there are no kinks
_PLACES = dict(low=-1.7, high=1.7, kinds=("uniform",))


@st.composite
def samplings(draw, axes, mode):
    shape = (3, 2) if axes == 2 else (2, 3, 2)
    N, C, *out = (
        draw(sizes(axes + 2, 1, 2)) if mode == "bilinear" and axes == 2 else (1,) * (axes + 2)
    )
    options = _options(
        mode=mode if mode != "bilinear" else None,
        padding_mode=draw(st.sampled_from([None, "border", "reflection"])),
        align_corners=draw(st.sampled_from([None, True])),
    )
    inputs = dict(x=draw(recipes((N, C, *shape))), grid=draw(recipes((N, *out, axes), **_PLACES)))
    return Case.of(f"F.grid_sample(x, grid{options})", **inputs)


register(
    "grid_sample", samplings(2, "bilinear"), samplings(2, "bicubic"), samplings(3, "bilinear"),
    samplings(2, "nearest"),
)  # fmt: skip
register(
    "affine_grid",
    *spelled(
        "F.affine_grid(theta, (2, 1, 3, 4))", "F.affine_grid(theta, [2, 1, 1, 3], True)",
        theta=recipes((2, 2, 3)),
    ),
    *spelled("F.affine_grid(theta, (1, 5, 2, 1, 3))", theta=recipes((1, 3, 4))),
)  # fmt: skip
