"""The table of ops, and how a line of it is written."""

import ast
from dataclasses import dataclass

from hypothesis import strategies as st

from tinyconv.testing.cases import Case


@dataclass(frozen=True)
class Op:
    """A registered op.

    Attributes:
        variants: strategies of Case, one for each way to write the op, so that none is left out.
        examples: cases that are always tried.
    """

    name: str
    variants: tuple
    examples: tuple = ()

    @property
    def cases(self):
        """All the ways to write it, as one strategy."""
        return st.one_of(*self.variants)


OPS: dict[str, Op] = {}
#: ops without a derivative (integers, bools, places): only what they return is looked at
VALUES: dict[str, Op] = {}


def register(name, *variants, examples=()):
    """Have ``name`` checked wherever all ops are.

    Args:
        variants: strategies of Case.
        examples: Cases that are tried every time, first of all.
    """
    _keep(OPS, name, variants, examples)


def register_values(name, *variants, examples=()):
    """Have the values of ``name``, an op without a derivative, compared with its oracle's."""
    _keep(VALUES, name, variants, examples)


def _keep(table, name, variants, examples):
    if name in OPS or name in VALUES:
        raise ValueError(f"register: {name!r} is there already")
    table[name] = Op(name, variants, tuple(examples))


def spelled(*sources, **inputs):
    """For each of ``sources`` a strategy of its Cases; ``inputs`` are strategies of Values."""
    return [_written(source, inputs) for source in sources]


@st.composite
def _written(draw, source, inputs):
    names = words(source)
    drawn = {name: draw(values) for name, values in inputs.items() if name in names}
    return Case.of(source, **drawn)


def words(source):
    """The plain names in a piece of code."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
