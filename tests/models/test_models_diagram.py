"""Diagrams: valid XML, boxes apart, lines between them, the same picture twice."""

import importlib.util
import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.models import diagram
from tinyconv.models.layout import Edge, layered
from tinyconv.models.registry import find

SVG = "{http://www.w3.org/2000/svg}"
NETS = [
    ("lenet5", None), ("lenet5_original", None), ("googlenet_paper", None), ("resnet18", None),
    ("inception_v3", 3), ("inception_resnet_v2", 2), ("inception_v4", 3), ("xception", 2),
    ("densenet121", None), ("densenet121", 4), ("cifar_resnet20_A", 9), ("resnet152", None),
    ("squeezenet1_1", 3), ("mobilenet_v1_1_0", None), ("bn_inception_caffe", 3), ("vgg16", None),
]  # fmt: skip


def summary(name, depth=None):
    with nn.init.skip_init():
        return tc.models.summary(tc.models.get_model(name), find(name).input, depth)


def drawing(s):
    return diagram.draw(s._tree(None, 120), s.input_size, s._describe)


def along(way):
    """Points along a line, as it is drawn: cubic curves with upright ends."""
    for k in range(1, len(way)):
        (a, b), (c, d) = way[k - 1], way[k]
        for t in (i / 20 for i in range(21)):
            if k % 2:
                yield a, b + (d - b) * t
            else:
                m = (b + d) / 2
                u = 1 - t
                yield (
                    u**3 * a + 3 * u * u * t * a + 3 * u * t * t * c + t**3 * c,
                    u**3 * b + 3 * u * u * t * m + 3 * u * t * t * m + t**3 * d,
                )


@pytest.mark.parametrize("name, depth", NETS)
def test_boxes_are_apart_and_joined_by_lines_that_cross_none(name, depth):
    d = drawing(summary(name, depth))
    boxes = [box[:4] for box in d.boxes]
    for x, y, w, h in [*boxes, *(frame[:4] for frame in d.frames)]:
        assert 0 < x and 0 < y and x + w < d.width and y + h < d.height
    for (x, y, w, h), (a, b, c, e) in itertools.combinations(boxes, 2):
        assert x + w < a or a + c < x or y + h < b or b + e < y
    for (x, y, w, h, _), (a, b, c, e) in itertools.product(d.frames, boxes):
        inside = x < a and a + c < x + w and y < b and b + e < y + h
        assert inside or x + w < a or a + c < x or y + h < b or b + e < y
    starts = [way[0] for way, _ in d.ways]
    ends = [way[-1] for way, head in d.ways if head]
    for x, y, w, _ in boxes[1:]:  # each but the input is reached
        assert any(abs(y - b) < 1e-6 and x < a < x + w for a, b in ends)
    for x, y, w, h in boxes[:-1]:  # each but the output is read
        assert any(abs(y + h - b) < 1e-6 and x < a < x + w for a, b in starts)
    for way, _ in d.ways:
        low, high = way[0][1], way[-1][1]
        near = [(x, y, w, h) for x, y, w, h in boxes if y + h > low and y < high]
        for a, b in along(way) if near else ():
            assert not any(x + 1 < a < x + w - 1 and y + 1 < b < y + h - 1 for x, y, w, h in near)


@pytest.mark.parametrize("name", ["googlenet_paper", "resnet152"])
def test_svg_is_xml_with_what_boxes_cost(name, tmp_path):
    s = summary(name)
    path = tmp_path / "net.svg"
    s.save(path)
    first = path.read_bytes()
    s.save(path)
    assert path.read_bytes() == first
    root = ElementTree.fromstring(first)
    titles = [title.text for title in root.iter(f"{SVG}title")]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    boxes = root.findall(f"{SVG}g")
    assert len(titles) == len(boxes) == len(drawing(s).boxes)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    if name == "resnet152":
        assert "1 ... 35" in texts and "35 x Bottleneck" in texts and "1024x14x14" in texts
        (tip,) = (title for title in titles if "35 x Bottleneck" in title)
        assert "parameters 39,101,440, MACs 7,642,808,320, field 11x11 - 1291x1291" in tip
    else:
        assert texts.count("cat") == 9 and "inception3a Inception" in texts
        assert sum("Conv2d 5x5" == text for text in texts) == 9


def test_norms_and_activations_are_lines_in_the_box_before():
    d = drawing(summary("resnet18"))
    lines = [[text for text, _ in box[4]] for box in d.boxes]
    assert lines[1] == ["conv1", "Conv2d 7x7 /2", "BatchNorm2d"]
    assert "bn1, BatchNorm2d, output 1x64x112x112" in d.boxes[1][6]


def test_names_are_escaped(tmp_path):
    net = nn.Sequential()
    net.register_module("<a> & \"b\" ]]> 'c'", nn.Conv2d(1, 2, 3))
    net.register_module("two", nn.Linear(4, 5))
    tc.models.summary(net, (1, 6, 6)).save(tmp_path / "net.svg")
    root = ElementTree.parse(tmp_path / "net.svg").getroot()
    assert any(text.text == "<a> & \"b\" ]]> 'c'" for text in root.iter(f"{SVG}text"))


def test_png(tmp_path):
    pytest.importorskip("matplotlib")
    s = summary("toy_inception_net")
    path = tmp_path / "net.PNG"
    s.save(path)
    data = path.read_bytes()
    size = [int.from_bytes(data[i : i + 4], "big") for i in (16, 20)]
    d = drawing(s)
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 10_000
    assert size == pytest.approx([d.width * 120 / 72, d.height * 120 / 72], abs=2)


def test_png_without_matplotlib_tells_how(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r"install tinyconv\[plot\], or save it as .svg"):
        summary("lenet5").save(tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists()


@pytest.mark.parametrize("path", ["net", "net.gif", "net.svgz"])
def test_other_endings(path, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .svg or .png"):
        summary("lenet5").save(tmp_path / path)


# -- layout -------------------------------------------------------------------------------
def test_chains_are_straight_and_edges_do_not_cross():
    """0 -> (1 -> 2 -> 3), (4 -> 5), 6 -> 7 and 0 -> 7 in one go."""
    sizes = [(40, 10), (60, 20), (30, 20), (90, 20), (50, 30), (20, 10), (70, 20), (40, 10)]
    pairs = [(0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 7), (0, 6), (6, 7), (0, 7)]
    places, ways, width, height = layered(sizes, [Edge(*pair) for pair in pairs])
    middle = [x + w / 2 for (x, _), (w, _) in zip(places, sizes)]
    assert middle[1] == middle[2] == middle[3] and middle[4] == middle[5]
    assert min(x for x, _ in places) >= 0
    assert max(x + w for (x, _), (w, _) in zip(places, sizes)) <= width
    assert places[7][1] + 10 == height
    row = places[1][1] + 10  # at this height the four ways from 0 are far apart
    at = [
        min((abs(y - row), x) for x, y in along(way))[1]
        for (start, _), way in zip(pairs, ways)
        if start == 0
    ]
    assert all(abs(x - z) > 15 for x, z in itertools.combinations(at, 2))


def test_crossings_are_avoided():
    sizes = [(10, 10)] * 4
    places, *_ = layered(sizes, [Edge(0, 3), Edge(1, 2)])
    assert (places[0][0] - places[1][0]) * (places[3][0] - places[2][0]) > 0


def test_an_empty_layout():
    assert layered([], []) == ([], [], 0, 0)


def test_the_pictures_of_the_page_are_what_is_drawn(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("figures", docs / "figures.py")
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    page = (docs / "networks.md").read_text()
    assert set(re.findall(r"images/(\S+?)\)", page)) == set(figures.GRAPHS)
    for name, summarise in figures.GRAPHS.items():
        summarise().save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (docs / "images" / name).read_bytes()


def test_the_page_says_what_summaries_say():
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    assert str(summary("alexnet_original_2group")) in page
    table = re.search(r"<!-- fields -->(.*?)<!-- end -->", page, re.S)[1]
    found = re.findall(r"`(\w+)` \| (\d+) \| (\d+)", table)
    assert len(found) == 13
    for name, smallest, largest in found:
        image = list(find(name).input[1:])
        last = [row for row in summary(name).rows if row.largest_field != image][-1]
        assert (last.smallest_field[0], last.largest_field[0]) == (int(smallest), int(largest))
