"""From compared numbers to Pairs with a verdict, and from Pairs to the verdict of the whole."""

import numpy as np

from tinyconv.testing.causes import Block, Cause, diagnose, where
from tinyconv.testing.directions import Directions
from tinyconv.testing.effects import INVALID
from tinyconv.testing.oracles import signed
from tinyconv.testing.report import Element, Pair
from tinyconv.testing.slopes import EPS, JUMP, KINK, UNRESOLVED

#: up to so many elements of inputs and outputs the whole Jacobian is computed to name a cause
_LOCATED = 6000
#: a derivative is seen when it is so many times its error bar
_SEEN = 10.0


def full_pairs(comparison):
    """Compare every element; one Pair for each output and input."""
    subject = comparison.subject
    tables = comparison.full(comparison.analytic())
    moves = [_moves(comparison, k) for k in range(len(tables))]
    pairs, blocks = [], []
    for o, span in enumerate(subject.spans):
        for k, table in enumerate(tables):
            pair = _pair(comparison, o, k, "full")
            block = Block(
                output_shape=pair.output_shape, input_shape=pair.input_shape,
                analytic=table.analytic[:, span].T, numeric=table.numeric[:, span].T,
                bar=table.bar[:, span].T, wrong=table.wrong[:, span].T,
                kink=(table.kind[:, span] == KINK).T,
                order=subject.order, output=o, input=k, x=subject.x[k],
            )  # fmt: skip
            _count(pair, block, table.kind[:, span].T, moves[k][span])
            pairs.append(pair)
            blocks.append(block)
    if any(pair.wrong for pair in pairs):
        causes = diagnose(blocks)
        for pair, block in zip(pairs, blocks):
            if pair.wrong:
                pair.cause = causes.get((block.order, block.output, block.input))
                pair.where = where(block)
    return pairs


def _pair(comparison, o, k, mode):
    subject = comparison.subject
    return Pair(
        subject.order, subject.output_names[o], subject.input_names[k],
        subject.outputs[o].shape, subject.x[k].shape, comparison.oracles[k].name, mode,
        elements=subject.outputs[o].size * subject.x[k].size,
    )  # fmt: skip


def _count(pair, block, kind, moves):
    A, N, bar = block.analytic, block.numeric, block.bar
    skipped = (kind == JUMP) | (kind == UNRESOLVED) | ~np.isfinite(N)
    pair.skipped = int((skipped & ~block.wrong).sum())
    pair.checked = pair.elements - pair.skipped
    pair.kinks, pair.wrong = int(block.kink.sum()), int(block.wrong.sum())
    with np.errstate(all="ignore"):
        allowed = bar + 1e-9 * np.abs(A)
        error = np.where(block.kink & ~block.wrong, 0.0, np.abs(A - N) / allowed)
    error[~np.isfinite(error)] = 0.0
    error[skipped & ~block.wrong] = 0.0
    error[block.wrong & ~np.isfinite(A)] = np.inf
    pair.error = float(error.max(initial=0.0))
    pair.worst = _worst(pair, A, N, bar, np.where(block.wrong, error + 1e300, error))
    pair.analytic, pair.numeric, pair.bar = A, N, bar
    pair.off, pair.kink, pair.lost = block.wrong, block.kink, skipped
    with np.errstate(all="ignore"):
        seen = (np.maximum(np.abs(A), np.abs(N)) > _SEEN * bar) & ~skipped
        # no derivative, though f moves with the input: zero is then a fact, not a lack of sight
        settled = moves[:, None] & ~skipped & (A == 0)
        # zeros beside the diagonal prove little where all that is on it was skipped
        pair.mass = int(((np.abs(A) > bar) | (np.abs(N) > bar) | block.kink)[~skipped].sum())
    seen = bool((seen | settled).any() or (block.kink & ~skipped).any())
    pair.verdict = _pair_verdict(pair, seen, not (A.any() or N.any()))


def _pair_verdict(pair, seen, zero):
    if pair.wrong:
        return "wrong"
    if pair.elements and not seen:
        return "zero" if zero else "vacuous"
    few = 2 * pair.checked < pair.elements or _outweighed([pair])
    return "unresolved" if few and pair.order == 1 else "passed"


def _outweighed(pairs):
    """Whether more was skipped than seen, and not just here and there beside zeros."""
    skipped, least = sum(p.skipped for p in pairs), sum(p.least for p in pairs)
    return sum(p.mass for p in pairs) < skipped and 2 * skipped >= least


def _moves(comparison, k):
    """Per output element, whether f changes by more than rounding when input k does."""
    oracle = comparison.oracles[k]
    x = oracle.x[k]
    d = signed(np.random.default_rng(0), x.shape) * np.maximum(np.abs(x), oracle.typical[k])
    move, *_ = oracle.line({k: d})
    size = np.abs(oracle.f0)
    moved = np.zeros(size.shape, bool)
    for t in (2.0**-4, -(2.0**-4), 2.0**-8):
        there, _ = move(t)
        with np.errstate(all="ignore"):
            change = np.abs(there - oracle.f0)
            moved |= (change > 256 * EPS * np.fmax(size, np.abs(there))) & (
                change > 64 * oracle.noise
            )
    return moved


def _worst(pair, A, N, bar, error, most=5):
    flat = error.ravel()
    largest = np.argpartition(-flat, most)[:most] if flat.size > most else np.arange(flat.size)
    elements = []
    for at in largest[np.argsort(-flat[largest], kind="stable")]:
        i, j = np.unravel_index(at, error.shape)
        elements.append(element(pair, i, j, A[i, j], N[i, j], bar[i, j]))
    return elements


def element(pair, i, j, a, n, bar):
    """One number of a Jacobian, told by indices into the output and the input."""
    at = tuple(map(int, np.unravel_index(i, pair.output_shape))) if pair.output_shape else ()
    of = tuple(map(int, np.unravel_index(j, pair.input_shape))) if pair.input_shape else ()
    with np.errstate(all="ignore"):
        ulps = float(np.abs(a - n) / np.spacing(np.abs(n))) if n else float(np.abs(a) / EPS)
    return Element(at, of, float(a), float(n), float(bar), ulps)


def fast_pairs(comparison, rounds, locate):
    """Compare along random directions; where one fails, look for the elements that are wrong."""
    subject = comparison.subject
    pairs = []
    for o in range(len(subject.outputs)):
        for k in range(len(subject.x)):
            pair = _pair(comparison, o, k, "fast")
            pairs.append(pair)
            if pair.elements:
                directions = Directions(comparison, k, o)
                _draws(pair, directions, rounds, comparison)
                if pair.wrong and locate:
                    pair.worst = [element(pair, *e) for e in directions.guilty()]
        if comparison.kinks == "hull" and subject.outputs[o].size and subject.order == 1:
            _tie(pairs[-len(subject.x) :], Directions(comparison, 0, o))
    small = subject.size + sum(x.size for x in subject.x) <= _LOCATED
    if locate and small and any(pair.wrong for pair in pairs):
        for pair, full in zip(pairs, full_pairs(comparison)):
            if pair.wrong and full.wrong:
                pair.cause, pair.where = full.cause, full.where
                pair.analytic, pair.numeric, pair.bar = full.analytic, full.numeric, full.bar
                pair.off, pair.kink, pair.lost = full.off, full.kink, full.lost
                pair.worst = pair.worst or full.worst
    return pairs


def _tie(pairs, directions):
    """Where kinks were met, one more draw: all inputs move up together."""
    if not any(pair.kinks for pair in pairs):
        return
    draw = directions.together()
    if not directions.agrees(draw):
        pair = max(pairs, key=lambda p: p.kinks)
        pair.wrong, pair.verdict = pair.wrong + 1, "wrong"
        pair.cause = Cause("tie", (
            f"moving all inputs up by as much changes the output by {draw.numeric:.6g} per unit, "
            f"the gradients add up to {draw.analytic:.6g}: a tie counted twice, or not at all?"
        ), 0.8)  # fmt: skip


def _draws(pair, directions, rounds, comparison):
    """Fill a Pair from draws."""
    draws = directions.run(rounds)
    for draw in draws:
        pair.wrong += not directions.agrees(draw)
        off = abs(draw.analytic - draw.numeric)
        pair.error = max(pair.error, off / draw.bar if draw.bar else float(off > 0))
    kinks, lost = max(d.kinks for d in draws), max(d.lost for d in draws)
    pair.kinks, pair.skipped = round(kinks * pair.elements), round(lost * pair.elements)
    pair.checked = pair.mass = pair.elements - pair.skipped
    seen = any(max(abs(d.analytic), abs(d.numeric)) > _SEEN * d.bar for d in draws) or kinks > 0
    zero = not any(d.analytic or d.numeric for d in draws)
    if zero and pair.checked and not seen:
        seen = bool(_moves(comparison, directions.k)[directions.span].any())
    pair.verdict = _pair_verdict(pair, seen, zero)


def verdict(report):
    """The verdict of a whole report."""
    kinds = {f.kind for f in report.findings}
    if any(p.verdict == "wrong" for p in report.pairs) or kinds - INVALID:
        return "wrong"
    if kinds:
        return "invalid"
    lowest = max(1, min((p.order for p in report.pairs), default=1))
    first = [p for p in report.pairs if p.order <= lowest and p.elements]
    if not any(p.verdict == "passed" for p in first):
        return "unresolved" if any(p.verdict == "unresolved" for p in first) else "vacuous"
    return "unresolved" if _outweighed([p for p in first if p.mass or p.skipped]) else "passed"
