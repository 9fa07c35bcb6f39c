"""Write docs/pytorch.md: each public name of PyTorch's, and what it is here.

python docs/pytorch_table.py

PyTorch's names and arguments are in pytorch_names.json (recorded by pytorch_names.py), so this
needs no torch. A name is the same if it is here and takes every argument of PyTorch's in its
place, by its name and with its default.
"""

import ast
import functools
import importlib.util
import inspect
import json
from pathlib import Path

import tinyconv as tc

HERE = Path(__file__).parent
PAGE = HERE / "pytorch.md"

#: arguments about memory and devices, and PyTorch's oldest ones: said once above the tables
ASIDE = set(
    """out memory_format layout pin_memory names non_blocking foreach fused capturable
    differentiable out_dtype implicit size_average reduce min_value max_value only_inputs
    grad_variables""".split()
)
#: arguments whose default reads otherwise and means the same
SAME_DEFAULT = set(
    """unbiased compute_mode indexing nan weights_only modules avg_pool1d.stride max_pool1d.stride
    max_pool2d.stride""".split()
)

#: how a name is narrower, where its arguments do not say it
NARROWER = {
    "torch.nn.functional.interpolate": "no `antialias=True`",
    "torch.nn.functional.embedding": "no `sparse=True`",
    "torch.nn.Embedding": "no `sparse=True`",
    "torch.gather": "no `sparse_grad=True`",
    "torch.Tensor.gather": "no `sparse_grad=True`",
    "torch.norm": "no `p='nuc'`",
    "torch.Tensor.norm": "no `p='nuc'`",
    "torch.linalg.norm": "of matrices only `'fro'`, 1, -1, inf and -inf",
    "torch.linalg.matrix_norm": "only `'fro'`, 1, -1, inf and -inf",
    "torch.Tensor.cuda": "raises: there is no GPU",
    "torch.autograd.Function": "`forward` gets NumPy arrays, `backward` tensors",
    "torch.autograd.gradcheck": "tolerances come from the slopes' own error bars",
    "torch.autograd.gradgradcheck": "tolerances come from the slopes' own error bars",
    "torch.Size": "`x.shape` is a plain tuple, without `numel`; `isinstance(x.shape, Size)` holds",
    "torch.dtype": "NumPy's: ask `is_floating_point(x)`, not `x.dtype.is_floating_point`",
}

HEAD = """\
# PyTorch's names

Written by `python docs/pytorch_table.py` from PyTorch {version}'s public names: do not edit.

*Same*: it is here, takes every argument of PyTorch's by its name and in its place, and has the same
defaults. *Narrower*: it is here, but for what the table says. *Absent*: it is not here, and raises
an `AttributeError`.

What holds for all: there is one device, the CPU; tensors are float32, float64, bool or integers,
strided and dense. So these arguments are left out and do not count below: `out`, `memory_format`,
`layout`, `pin_memory`, `names`, `non_blocking`, `out_dtype`; `foreach`, `fused`, `capturable`,
`differentiable` of optimisers; and what PyTorch has given up: `size_average` and `reduce` of
losses, `min_value` and `max_value` of `Hardtanh`, `only_inputs`, `grad_variables`. In-place
spellings write into memory under `no_grad` and on tensors that are not recorded
([conventions](conventions.md#in-place)). Sparse, quantised, complex and half precision tensors,
compilation, distribution over devices, and PyTorch's internals are not listed.

"""


def known():
    """The module tests/peers/known.py."""
    path = HERE.parent / "tests/peers/known.py"
    spec = importlib.util.spec_from_file_location("known", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(section, name):
    """tinyconv's object of that name; None if there is none."""
    try:
        owner = functools.reduce(getattr, section.split(".")[1:], tc)
        return getattr(owner, name)
    except AttributeError:
        return None


# -- arguments ----------------------------------------------------------------------------------
def theirs(text):
    """``input, dim=None, *, dtype=None`` -> places, names only, defaults, whether ``*sizes``."""
    given = ast.parse(f"def f({text}): pass").body[0].args
    places = [a.arg for a in given.posonlyargs + given.args]
    defaults = dict(zip(places[len(places) - len(given.defaults) :], given.defaults))
    named = [a.arg for a in given.kwonlyargs]
    defaults |= {n: d for n, d in zip(named, given.kw_defaults) if d is not None}
    return places, named, defaults, given.vararg is not None


def differences(thing, text):
    """What ``thing`` lacks of one form of PyTorch's call, in words."""
    given = inspect.signature(thing).parameters.values()
    here = {p.name: p for p in given}
    order = [p.name for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    any_place = any(p.kind is p.VAR_POSITIONAL for p in given)
    any_name = any(p.kind is p.VAR_KEYWORD for p in given)
    places, named, defaults, star = theirs(text)
    if places[:1] == ["self"]:  # a method: the tensor itself has no name
        places, order = places[1:], order[1:]
    public = [n for n in places + named if n not in ASIDE and n[0] != "_"]
    missing = [] if any_name else [n for n in public if n not in here]
    yield from (f"without `{n}`" for n in missing)
    if star and not any_place:
        yield "sizes as one tuple only"
    kept = [n for n in places if n in public and n not in missing]
    there = [n for n in order if n in kept]
    if not any_place:
        # an argument of another form may have that place: max(x, other), max(x, dim)
        spare = sum(n not in places for n in order)
        by_name = [n for n in kept if n not in order]
        yield from (f"`{n}` by its name only" for n in by_name[spare:])
        if [n for n in kept if n in order] != there:
            yield f"order `{', '.join(there)}`"
    yield from (f"`{n}` must be given" for n in defaults if n in here
                and here[n].default is inspect.Parameter.empty and n not in ASIDE)  # fmt: skip


def other_defaults(thing, forms):
    """Defaults that are in none of PyTorch's forms."""
    there = {}
    for text in forms:
        for name, node in theirs(text)[2].items():
            there.setdefault(name, []).append(ast.unparse(node))
    for p in inspect.signature(thing).parameters.values():
        if {p.name, f"{thing.__name__}.{p.name}"} & SAME_DEFAULT:
            continue
        plain = isinstance(p.default, (bool, int, float, str, tuple, type(None)))
        values = there.get(p.name, ["..."])
        if plain and p.default is not p.empty and not any(map(_unclear, values)):
            if p.default not in map(ast.literal_eval, values):
                yield f"`{p.name}={p.default!r}`, there `{values[0]}`"


def _unclear(text):
    """A default that is no number, text or None."""
    try:
        return ast.literal_eval(text) is Ellipsis
    except ValueError:
        return True


@functools.cache
def status(section, name, forms):
    """'same', 'absent', or how it is narrower."""
    thing = ours(section, name)
    if name.endswith("_") and takes_anything(thing):
        thing = ours(section, name[:-1]) or thing  # add_ hands on to add
    full = f"{section}.{name}"
    if thing is None:
        return "absent"
    notes = [NARROWER[full]] if full in NARROWER else []
    try:
        known = callable(thing) and not takes_anything(thing)
        found = [list(differences(thing, form)) for form in forms] if known else []
        found += [list(other_defaults(thing, forms))] if found else []
    except (TypeError, ValueError):
        found = []  # a builtin that tells no signature
    notes += dict.fromkeys(note for of_form in found for note in of_form)
    return "; ".join(notes) or "same"


def takes_anything(thing):
    """``f(*args, **kwargs)``: its arguments are those of what it calls."""
    if not callable(thing):
        return False
    try:
        kinds = {p.kind for p in inspect.signature(thing).parameters.values()}
    except ValueError:
        return True
    return {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds


# -- the page -----------------------------------------------------------------------------------
def section_text(section, names):
    states = {name: status(section, name, tuple(forms)) for name, forms in names.items()}
    same = [n for n, state in states.items() if state == "same"]
    absent = [n for n, state in states.items() if state == "absent"]
    narrower = {n: s for n, s in states.items() if s not in ("same", "absent")}
    total = f"{len(same)} the same, {len(narrower)} narrower, {len(absent)} absent"
    yield f"## {section}\n\n{total}.\n"
    if same:
        yield f"**Same**: {listed(same)}.\n"
    if narrower:
        rows = "\n".join(f"| `{n}` | {how} |" for n, how in narrower.items())
        yield f"| narrower | how |\n|---|---|\n{rows}\n"
    if absent:
        yield f"**Absent**: {listed(absent)}.\n"


def listed(names):
    return ", ".join(f"`{n}`" for n in names)


def known_text():
    """Where samples of PyTorch's own tests differ by intent."""
    yield "## Where values or errors differ\n"
    yield (
        "PyTorch's own operator samples run in an optional test, values, gradients and second "
        "gradients;\nwhat may differ there:\n"
    )
    rows = "\n".join(
        f"| {listed(k.ops.split())} | {k.reason} |" for k in sorted(known().KNOWN, key=str)
    )
    yield f"| op | how |\n|---|---|\n{rows}\n"


def page():
    names = json.loads((HERE / "pytorch_names.json").read_text())
    version = names.pop("version")
    parts = [HEAD.format(version=version)]
    for section, found in names.items():
        parts += section_text(section, found)
    return "\n".join([*parts, *known_text()])


if __name__ == "__main__":
    PAGE.write_text(page())
