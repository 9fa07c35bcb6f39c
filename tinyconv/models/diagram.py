"""Diagrams of networks: boxes are layers, frames the modules that hold them, lines say what shape
goes from one to the next. A module is laid out on its own and then stands as one box in its
parent, so frames never cross.
"""

import io
from collections import Counter
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tinyconv.models.layout import Edge, layered
from tinyconv.ops.conv import Conv2d
from tinyconv.ops.linalg import Linear, Matmul
from tinyconv.ops.pool import AvgPool2d, MaxPool2d, PlaneGather
from tinyconv.ops.reduce import Amax, Sum

_FONT = "DejaVu Sans, Verdana, Arial, sans-serif"
#: sizes of letters: names, types, shapes
_NAME, _TYPE, _SHAPE = 12, 11, 10
#: mean width of a letter, in letter heights: wide fonts have it, others leave a margin
_LETTER = 0.62
_TEXT, _FAINT, _LINE = "#222222", "#666666", "#8a8a8a"
#: what a box computes -> (fill, border): light tints of Okabe and Ito's colours
_TINTS = {
    "conv": ("#dcebf7", "#0072b2"), "product": ("#d9f0e6", "#009e73"),
    "pool": ("#fbe9d0", "#d07b00"), "block": ("#efe3f2", "#8e5b99"),
    "join": ("#f2f2f2", "#777777"), "other": ("#f7f7f7", "#999999"),
}  # fmt: skip
_WINDOWS = {Conv2d: 3, MaxPool2d: 1, AvgPool2d: 1}  # where the window is among an op's args
_KINDS = {
    Conv2d: "conv", Linear: "product", Matmul: "product", MaxPool2d: "pool", AvgPool2d: "pool",
    PlaneGather: "pool", Sum: "pool", Amax: "pool",
}  # fmt: skip
_MARGIN, _SIDE = 16, 14


@dataclass
class Drawing:
    """What is to be drawn, in pixels from the upper left corner.

    Attributes:
        frames: (x, y, width, height, label).
        ways: (points, whether an arrow ends there); for the points see ``layered``.
        boxes: (x, y, width, height, lines, (fill, border), tip); a line is (text, letter height).
        labels: (x, y, text, anchor), anchor 'start' or 'end' being what x is, y the foot.
    """

    width: float = 0
    height: float = 0
    frames: list = field(default_factory=list)
    ways: list = field(default_factory=list)
    boxes: list = field(default_factory=list)
    labels: list = field(default_factory=list)


def draw(root, input_size, describe):
    """The ``Drawing`` of a network.

    Args:
        root: its ``Block``, see ``Outline.tree``.
        input_size: shape of its input.
        describe: function from a ``Row`` to what is told under the mouse.
    """
    piece = _Plan(root, input_size, describe).whole
    drawing = Drawing(piece.width + 2 * _MARGIN, piece.height + 2 * _MARGIN)
    piece.draw(drawing, _MARGIN, _MARGIN)
    return drawing


@dataclass
class _Piece:
    """What takes its place in a layout: a box, a frame, or the place where a line crosses a frame.

    Attributes:
        ins: for each leaf that it reads, how far from its middle the line arrives.
        outs: for each of its leaves that is read, how far from its middle the line begins.
        left: whether what is written beside that line stands left of it.
    """

    width: float = 0
    height: float = 0
    ins: dict = field(default_factory=dict)
    outs: dict = field(default_factory=dict)
    left: bool = False

    def draw(self, drawing, x, y):
        """Add it to a drawing, its upper left corner at (x, y)."""


class _Box(_Piece):
    def __init__(self, lines, kind, tip, label, ins=(), outs=()):
        self.box = max(_length(*line) for line in lines) + 20
        # the label stands beside the line that leaves the box
        width = max(self.box, 2 * _length(label, _SHAPE) + 12)
        height = sum(1.35 * size for _, size in lines) + 10
        super().__init__(width, height, dict.fromkeys(ins, 0), dict.fromkeys(outs, 0))
        self.lines, self.tint, self.tip, self.label = lines, _TINTS[kind], tip, label

    def draw(self, drawing, x, y):
        left = x + (self.width - self.box) / 2
        drawing.boxes.append((left, y, self.box, self.height, self.lines, self.tint, self.tip))
        if not self.label:
            return
        beside, anchor = (-6, "end") if self.left else (6, "start")
        drawing.labels.append(
            (x + self.width / 2 + beside, y + self.height + 14, self.label, anchor)
        )


class _Frame(_Piece):
    """Pieces, laid out with the lines between them; ``label`` None: without a border."""

    def __init__(self, label, entries, pieces, exits):
        """``entries`` and ``exits``: piece of each leaf that is read from, or by, outside."""
        nodes = [*entries.values(), *pieces, *exits.values()]
        begins = {leaf: (i, 0) for i, leaf in enumerate(entries)}
        for i, piece in enumerate(pieces, len(entries)):
            begins |= {leaf: (i, offset) for leaf, offset in piece.outs.items()}
        edges = []
        for j, piece in enumerate(pieces, len(entries)):
            edges += [Edge(begins[s][0], j, begins[s][1], at) for s, at in piece.ins.items()]
        last = range(len(nodes) - len(exits), len(nodes))
        edges += [Edge(begins[leaf][0], j, begins[leaf][1], 0) for j, leaf in zip(last, exits)]
        sizes = [(node.width, node.height) for node in nodes]
        self.places, self.ways, width, height = layered(sizes, edges, last)
        self.nodes, self.label, self.shift = nodes, label, (0, 0)
        self.heads = [isinstance(nodes[edge.end], _Box) for edge in edges]
        for edge, way in zip(edges, self.ways):  # away from this line, and from others' ends
            turns = [w[-3][0] - way[0][0] for e, w in zip(edges, self.ways) if e.end == edge.end]
            nodes[edge.start].left |= way[2][0] > way[0][0] + 1 or max(turns) > 1 > -min(turns)
        if label is not None:
            full = max(width + 2 * _SIDE, 2 * _length(label, _SHAPE) + 30)  # left of the middle
            # without lines through its border, there is room for what stands there
            self.shift = (full - width) / 2, 0 if entries else 24
            width, height = full, height + self.shift[1] + (0 if exits else 24)
        super().__init__(width, height)
        middle = [at[0] + size[0] / 2 + self.shift[0] for at, size in zip(self.places, sizes)]
        self.ins = {s: middle[i] - width / 2 for i, s in enumerate(entries)}
        self.outs = {leaf: middle[j] - width / 2 for j, leaf in zip(last, exits)}

    def draw(self, drawing, x, y):
        if self.label is not None:
            drawing.frames.append((x, y, self.width, self.height, self.label))
        x, y = x + self.shift[0], y + self.shift[1]
        for way, head in zip(self.ways, self.heads):
            drawing.ways.append(([(x + a, y + b) for a, b in way], head))
        for node, (a, b) in zip(self.nodes, self.places):
            node.draw(drawing, x + a, y + b)


class _Plan:
    """Makes pieces of blocks."""

    def __init__(self, root, input_size, describe):
        self.describe = describe
        leaves = [leaf for leaf in root.leaves if leaf.ops]
        self.readers = Counter(source for leaf in leaves for source in leaf.sources)
        self.under = {}  # leaf -> the leaf whose box it is written into
        self.further = {}  # leaf -> the rows in its box besides its own
        self._write_under(root)
        self.sources = {
            leaf: list(dict.fromkeys(self.under.get(s, s) for s in leaf.sources))
            for leaf in leaves
            if leaf not in self.under
        }
        size = times(input_size)
        entry = _Box([("input", _NAME), (size, _SHAPE)], "other", f"input {size}", "")
        pieces = self._pieces(root, root.row.path)
        self.whole = _Frame(None, {None: entry}, pieces, {})

    def _write_under(self, block):
        """A norm or an activation becomes a line in the box of what it follows in its module."""
        for leaf in block.parts:
            self._write_under(leaf)
            if leaf.parts or len(leaf.sources) != 1 or _kind(leaf) != "other":
                continue
            (before,) = leaf.sources
            shape, alone = leaf.row.output_shape, self.readers[before] == 1
            before = self.under.get(before, before)
            if alone and before in block.parts and before.row.output_shape == shape:
                self.under[leaf] = before
                self.further.setdefault(before, []).append(leaf.row)

    def _pieces(self, block, around):
        pieces = [self._piece(part, around) for part in block.parts or [block]]
        return [piece for piece in pieces if piece]

    def _piece(self, block, around):
        """The piece of a block in the frame of the module at the path ``around``."""
        if not block.parts:
            return self._box(block, around) if block in self.sources else None
        pieces = self._pieces(block, block.row.path)
        if len(pieces) < 2:  # no frame for a single box
            return next(iter(self._pieces(block, around)), None)
        leaves = block.leaves
        inside = set(leaves)
        needed = [s for leaf in leaves for s in self.sources.get(leaf, ()) if s not in inside]
        read = {s for leaf, sources in self.sources.items() if leaf not in inside for s in sources}
        kind = "" if block.row.type == "Sequential" else block.row.type
        label = f"{_name(block.row, around)} {kind}".strip()
        return _Frame(
            label,
            {s: _Piece() for s in needed},
            pieces,
            {leaf: _Piece() for leaf in leaves if leaf in read},
        )

    def _box(self, block, around):
        row = block.row
        rows = [row, *self.further.get(block, ())]
        kind = "join" if len(self.sources[block]) > 1 and len(block.ops) == 1 else _kind(block)
        many = f"{row.count} x " if row.count > 1 else ""
        name, type = _name(row, around), f"{many}{row.type} {_window(block)}".strip()
        lines = [(name, _NAME), (type, _TYPE)] if name else [(type, _TYPE)]
        lines += [(more.type, _SHAPE) for more in rows[1:]]
        tip = "\n".join(map(self.describe, rows))
        return _Box(lines, kind, tip, times(row.output_shape[1:]), self.sources[block], [block])


def _name(row, around):
    """The path as seen from the module at ``around``; '' for that module's own ops."""
    if row.type.islower() and row.path == around:
        return ""
    inside = row.path.startswith(f"{around}.")
    return row.path[len(around) + 1 :] if inside else row.path


def _layers(block):
    return [op for op in block.ops if op.function in _KINDS]


def _kind(block):
    layers = _layers(block)
    if len(layers) > 1:
        return "block"
    return _KINDS[layers[0].function] if layers else "other"


def _window(block):
    """The window of a layer: 3x3 /2."""
    layers = _layers(block)
    if len(layers) != 1 or layers[0].function not in _WINDOWS:
        return ""
    window = layers[0].args[_WINDOWS[layers[0].function]]
    if len(window) == 2:  # adaptive
        return ""
    text = f"{window.kh}x{window.kw}"
    if (window.sh, window.sw) != (1, 1):
        text += f" /{window.sh}" if window.sh == window.sw else f" /{window.sh}x{window.sw}"
    if (window.dh, window.dw) != (1, 1):
        text += f" dilation {window.dh}x{window.dw}"
    groups = layers[0].args[4] if layers[0].function is Conv2d else 1
    return text if groups == 1 else f"{text} groups {groups}"


def times(sizes):
    """3x32x32"""
    return "x".join(map(str, sizes))


def _length(text, size):
    return _LETTER * size * len(text)


def svg(drawing):
    """The bytes of an SVG file; the boxes tell what they are under the mouse."""
    w, h = drawing.width, drawing.height
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" height="{h:.0f}" '
        f'viewBox="0 0 {w:.0f} {h:.0f}" font-family="{_FONT}" fill="{_TEXT}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 1 7 4 0 7Z" fill="{_LINE}"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for x, y, wide, high, label in drawing.frames:
        lines += [
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="8" '
            f'fill="black" fill-opacity="0.03" stroke="#c9c9c9"/>',
            _text(x + 8, y + 15, label, _SHAPE, _FAINT),
        ]
    for way, head in drawing.ways:
        data = " ".join(
            f"{code} {' '.join(f'{x:.1f},{y:.1f}' for x, y in p)}" for code, p in _strokes(way)
        )
        end = ' marker-end="url(#tip)"' if head else ""
        lines.append(f'<path d="{data}" fill="none" stroke="{_LINE}" stroke-width="1.3"{end}/>')
    for x, y, wide, high, texts, (fill, border), tip in drawing.boxes:
        lines.append(
            f'<g><title>{escape(tip)}</title><rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" '
            f'height="{high:.1f}" rx="5" fill="{fill}" stroke="{border}"/>'
        )
        for middle, foot, text, size in _written(x, y, wide, texts):
            weight = ' font-weight="bold"' if size == _NAME else ""
            lines.append(_text(middle, foot, text, size, _TEXT, ' text-anchor="middle"' + weight))
        lines.append("</g>")
    halo = ' stroke="white" stroke-width="3" stroke-opacity="0.8" paint-order="stroke"'
    for x, y, text, anchor in drawing.labels:
        lines.append(_text(x, y, text, _SHAPE, _FAINT, f' text-anchor="{anchor}"{halo}'))
    return "\n".join([*lines, "</svg>", ""]).encode()


def _text(x, y, text, size, colour, more=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{more}>'
        f"{escape(text)}</text>"
    )


def png(drawing):
    """The bytes of a PNG file, drawn with Matplotlib.

    Raises:
        ImportError: without Matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
        from matplotlib.path import Path
        from matplotlib.patheffects import withStroke
    except ImportError as error:
        raise ImportError(
            "a .png diagram is drawn with Matplotlib, which is not here: install tinyconv[plot], "
            "or save it as .svg"
        ) from error
    # a pixel of the drawing is a point of the figure; a picture has 2^16 pixels at most
    dots = min(120, 72 * 60000 / max(drawing.width, drawing.height))
    figure = Figure((drawing.width / 72, drawing.height / 72), dpi=dots, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    corner = "round,pad=0,rounding_size="
    for x, y, wide, high, label in drawing.frames:
        axes.add_patch(FancyBboxPatch(
            (x, y), wide, high, corner + "8", facecolor=(0, 0, 0, 0.03), edgecolor="#c9c9c9"
        ))  # fmt: skip
        axes.text(x + 8, y + 15, label, size=_SHAPE, color=_FAINT)
    arrow = "-|>,head_length=3,head_width=1.6"
    for way, head in drawing.ways:
        points, codes = [], []
        for code, of in _strokes(way):
            points += of
            codes += [{"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4}[code]] * len(of)
        axes.add_patch(FancyArrowPatch(
            path=Path(points, codes), arrowstyle=arrow if head else "-", linewidth=1.3,
            edgecolor=_LINE, facecolor=_LINE if head else "none", shrinkA=0, shrinkB=0,
        ))  # fmt: skip
    for x, y, wide, high, texts, (fill, border), _ in drawing.boxes:
        axes.add_patch(FancyBboxPatch(
            (x, y), wide, high, corner + "5", facecolor=fill, edgecolor=border
        ))  # fmt: skip
        for middle, foot, text, size in _written(x, y, wide, texts):
            weight = "bold" if size == _NAME else "normal"
            axes.text(middle, foot, text, size=size, color=_TEXT, ha="center", weight=weight)
    halo = [withStroke(linewidth=3, foreground=(1, 1, 1, 0.8))]
    for x, y, text, anchor in drawing.labels:
        side = "left" if anchor == "start" else "right"
        axes.text(x, y, text, size=_SHAPE, color=_FAINT, ha=side, path_effects=halo)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _strokes(way):
    """(SVG's letter, points): straight down, then curved, by turns."""
    yield "M", way[:1]
    for k in range(1, len(way)):
        (a, b), (c, d) = way[k - 1], way[k]
        if k % 2 == 0 and a != c:
            yield "C", [(a, (b + d) / 2), (c, (b + d) / 2), (c, d)]
        elif (a, b) != (c, d):
            yield "L", [(c, d)]


def _written(x, y, wide, texts):
    """(middle, foot, text, letter height) of each line in a box."""
    y += 5
    for text, size in texts:
        y += 1.35 * size
        yield x + wide / 2, y - 0.35 * size, text, size


#: ending of a file -> function from a drawing to its bytes
WRITERS = {".svg": svg, ".png": png}
