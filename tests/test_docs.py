"""The README does what it says: its code runs, its commands work, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tinyconv import data, models, weights
from tinyconv.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text()


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("code", [c for p in PAGES for c in blocks(p.read_text(), "python")])
def test_code_block_runs(code):
    exec(compile(code, "README", "exec"), {"__name__": "readme"})


def test_ten_lines_are_ten_lines():
    code = blocks(README, "python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) == 10


def test_commands_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = data.load("digits", train=False).images[0, 0]
    pytest.importorskip("PIL.Image").fromarray(np.asarray(image)).save("image.png")
    state = models.get_model("squeezenet1_1").state_dict()
    weights.save_file(state, "squeezenet1_1.safetensors")
    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("tinyconv ")]
    assert len(commands) >= 6
    for command in commands:
        assert main(command[1:]) == 0, command


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link
