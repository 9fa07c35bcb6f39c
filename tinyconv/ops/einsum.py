"""Einstein's sums: ``einsum("bij,bjk->bik", a, b)``. Composed: two operands at a time are brought
into the form of stacks of matrices, and multiplied by matmul.
"""

import math
import string
from collections import Counter

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.ops.common import as_tensor
from tinyconv.ops.index import getitem
from tinyconv.ops.linalg import matmul
from tinyconv.ops.shape import permute, reshape

#: of the list format: 0 to 51
_LETTERS = string.ascii_uppercase + string.ascii_lowercase


def einsum(equation, *operands) -> Tensor:
    """Sums of products, axes named by letters.

    A letter names an axis; where it stands in several operands their sizes are equal (or 1, which
    is broadcast), and twice in one operand it means the diagonal. Letters that do not stand
    behind the arrow are summed over. Without an arrow the result has the letters that stand
    there once, in alphabetic order. ``...`` stands for any axes in front, in between or behind,
    which are broadcast.

    Args:
        equation: text such as "ij,jk->ik"; spaces do not count.
        operands: Tensors, or one list of them. The other spelling has lists of numbers 0 to 51
            instead of letters: einsum(a, [0, 1], b, [1, 2], [0, 2]).

    Raises:
        ValueError: an equation that can not be read, or operands that do not fit it.

    >>> import tinyconv as tc
    >>> tc.einsum("ij,j->i", tc.ones(2, 3), tc.ones(3))
    tensor([3., 3.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    given_list = len(operands) == 1 and isinstance(operands[0], (list, tuple))
    tensors = [as_tensor(x, "einsum") for x in (operands[0] if given_list else operands)]
    given = f"einsum: {equation!r} for shapes {[list(t.shape) for t in tensors]}"
    terms, result = _parsed(equation, [t.ndim for t in tensors], given)
    _check_sizes(terms, tensors, given)
    taken = [_diagonal(term, t) for term, t in zip(terms, tensors)]
    labels, y = taken[0]
    for i, (others, x) in enumerate(taken[1:], 2):
        wanted = set(result).union(*(names for names, _ in taken[i:]))
        labels, y = _pair(labels, y, others, x, wanted)
    labels, y = _summed(labels, y, set(result))
    if set(labels) != set(result):  # a letter of an axis that no operand has can not be meant
        raise ValueError(f"{given}: the result names axes that no operand has")
    return permute(y, [labels.index(name) for name in result])


# -- reading the equation -------------------------------------------------------------------
def _from_lists(arguments):
    """(equation, operands) of a, [0, 1], b, [1, 2], [0, 2]."""
    operands, lists = list(arguments[::2]), list(arguments[1::2])
    if len(arguments) % 2:
        lists.append(operands.pop())

    def text(numbers):
        try:
            return "".join("..." if n is Ellipsis else _LETTERS[n.__index__()] for n in numbers)
        except (AttributeError, IndexError, TypeError):
            raise ValueError(
                f"einsum: {numbers} is no list of axes; wants numbers 0 to 51 and at most one ..."
            ) from None

    texts = [text(numbers) for numbers in lists]
    equation = ",".join(texts[: len(operands)])
    return "->".join([equation, *texts[len(operands) :]]), tuple(operands)


def _parsed(equation, ndims, given):
    """The names of all axes, operand by operand, and those of the result. An axis that ``...``
    stands for is named by its place counted from the right: -1, -2, ..."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ndims):
        raise ValueError(f"{given}: the equation has {len(texts)} operands, given are {len(ndims)}")
    for text in (*texts, right):
        if text.count("...") > 1 or not set(text.replace("...", "")) <= set(_LETTERS):
            raise ValueError(f"{given}: {text!r} may hold letters and one '...'")
    terms = []
    for text, ndim in zip(texts, ndims):
        free = ndim - len(text.replace("...", ""))
        if free < 0 or (free and "..." not in text):
            raise ValueError(f"{given}: {text!r} names other than the {ndim} axes of its operand")
        terms.append(_names(text, free))
    dots = min([n for term in terms for n in term if isinstance(n, int)], default=0)
    if arrow:
        result = _names(right, -dots)
    else:
        counts = Counter(left.replace(".", "").replace(",", ""))
        once = sorted(letter for letter, count in counts.items() if count == 1)
        result = [*range(dots, 0), *once]
    if len(set(result)) < len(result):
        raise ValueError(f"{given}: the result names an axis twice")
    return terms, result


def _names(text, free):
    before, dots, behind = text.partition("...")
    return [*before, *(range(-free, 0) if dots else ()), *behind]


def _check_sizes(terms, tensors, given):
    sizes = {}
    for term, t in zip(terms, tensors):
        own = {}
        for name, n in zip(term, t.shape):
            if own.setdefault(name, n) != n:
                raise ValueError(f"{given}: {name!r} has sizes {own[name]} and {n} in one operand")
            known = sizes.get(name, 1)
            if known != 1 and n not in (1, known):
                what = "'...'" if isinstance(name, int) else repr(name)
                raise ValueError(f"{given}: {what} has sizes {known} and {n}")
            sizes[name] = n if known == 1 else known


# -- the sums --------------------------------------------------------------------------------
def _diagonal(names, x):
    """x with each name once: where one stands several times, the diagonal of these axes."""
    for name in [name for name, count in Counter(names).items() if count > 1]:
        same = [i for i, other in enumerate(names) if other == name]
        rest = [i for i, other in enumerate(names) if other != name]
        n = x.shape[same[0]]
        x = getitem(permute(x, same + rest), (np.arange(n),) * len(same))
        names = [name, *(names[i] for i in rest)]
    return names, x


def _summed(names, x, kept):
    """x summed over the axes that are not ``kept``."""
    gone = [i for i, name in enumerate(names) if name not in kept]
    if not gone:
        return names, x
    return [name for name in names if name in kept], x.sum(gone)


def _without_ones(names, x, others, y):
    """x without its axes of size 1 that are larger in y."""
    sizes = dict(zip(others, y.shape))
    kept = [i for i, name in enumerate(names) if x.shape[i] != 1 or sizes.get(name, 1) == 1]
    return [names[i] for i in kept], reshape(x, tuple(x.shape[i] for i in kept))


def _pair(names, x, others, y, wanted):
    """(names, product) of two operands, summed over the axes that are not ``wanted`` further on."""
    (names, x), (others, y) = _without_ones(names, x, others, y), _without_ones(others, y, names, x)
    names, x = _summed(names, x, wanted.union(others))
    others, y = _summed(others, y, wanted.union(names))
    batch = [n for n in names if n in others and n in wanted]
    inner = [n for n in names if n in others and n not in wanted]
    rows = [n for n in names if n not in others]
    columns = [n for n in others if n not in names]
    sizes = dict(zip((*names, *others), (*x.shape, *y.shape)))
    stacked = [batch] if batch else []

    def stack(x, names, *groups):
        order = [names.index(n) for group in groups for n in group]
        shape = tuple(math.prod(sizes[n] for n in group) for group in groups)
        return reshape(permute(x, order), shape)

    if inner:
        z = matmul(
            stack(x, names, *stacked, rows, inner), stack(y, others, *stacked, inner, columns)
        )
    else:
        z = stack(x, names, *stacked, rows, ()) * stack(y, others, *stacked, (), columns)
    names = batch + rows + columns
    return names, reshape(z, tuple(sizes[n] for n in names))
