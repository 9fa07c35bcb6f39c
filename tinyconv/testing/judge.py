"""From compared numbers to Pairs with a verdict, and from Pairs to the verdict of the whole."""

import numpy as np

from tinyconv.testing.causes import Block, Cause, diagnose, where
from tinyconv.testing.effects import INVALID
from tinyconv.testing.report import Element, Pair
from tinyconv.testing.slopes import EPS, JUMP, KINK, UNRESOLVED

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
                pair.cause = _not_finite(block) or causes.get(
                    (block.order, block.output, block.input)
                )
                pair.where = where(block)
    return pairs


def _not_finite(block):
    bad = block.analytic[block.wrong]
    if np.isfinite(bad).any():
        return None
    return Cause("not finite", f"{bad.size} elements are NaN or infinite where the slope is not: "
                 "0/0, 0 times infinity, or a root of something negative that a mask was to hide?",
                 1.0)  # fmt: skip


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
    pair.analytic, pair.numeric, pair.bar, pair.off, pair.kink = A, N, bar, block.wrong, block.kink
    with np.errstate(all="ignore"):
        seen = (np.maximum(np.abs(A), np.abs(N)) > _SEEN * bar) & ~skipped
        # no derivative, though f moves with the input: zero is then a fact, not a lack of sight
        settled = moves[:, None] & ~skipped & (A == 0)
    seen = bool((seen | settled).any() or (block.kink & ~skipped).any())
    pair.verdict = _pair_verdict(pair, seen, not (A.any() or N.any()))


def _pair_verdict(pair, seen, zero):
    if pair.wrong:
        return "wrong"
    if pair.elements and not seen:
        return "zero" if zero else "vacuous"
    return "passed" if 2 * pair.checked >= pair.elements else "unresolved"


def _moves(comparison, k):
    """Per output element, whether f changes by more than rounding when input k does."""
    oracle = comparison.oracles[k]
    rng = np.random.default_rng(0)
    moved = np.zeros(comparison.subject.size, bool)
    d = rng.uniform(0.5, 1.5, oracle.x[k].shape) * rng.choice([-1.0, 1.0], oracle.x[k].shape)
    move, _, _ = oracle.line({k: d * np.maximum(np.abs(oracle.x[k]), oracle.typical[k])})
    size = np.abs(oracle.f0)
    for t in (0.25, -1.0):
        there, _ = move(t)
        with np.errstate(all="ignore"):
            moved |= np.abs(there - oracle.f0) > 256 * EPS * np.maximum(size, np.abs(there))
    # what cancels to nothing is rounding of larger numbers that are not seen here
    return moved & (np.maximum(size, np.abs(there)) > 1e4 * EPS * max(1.0, size.max(initial=0)))


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
            if not pair.elements:
                continue
            outcomes = comparison.directions(k, o, rounds)
            seen = False
            lost = kinks = 0.0
            for a, n, bar, kink, skip in outcomes:
                wrong = not comparison._agrees(a, n, bar) or not np.isfinite(a)
                pair.wrong += wrong
                pair.error = max(pair.error, abs(a - n) / bar if bar else 0.0)
                seen = seen or max(abs(a), abs(n)) > _SEEN * bar
                lost, kinks = max(lost, skip), max(kinks, kink)
            pair.skipped, pair.kinks = round(lost * pair.elements), round(kinks * pair.elements)
            pair.checked = pair.elements - pair.skipped
            zero = not any(a or n for a, n, *_ in outcomes)
            settled = zero and pair.checked and _moves(comparison, k)[subject.spans[o]].any()
            pair.verdict = _pair_verdict(pair, bool(seen or kinks > 0 or settled), zero)
            if pair.wrong and locate:
                pair.worst = [element(pair, *e) for e in comparison.guilty(k, o)]
    wrong = [pair for pair in pairs if pair.wrong]
    if wrong and locate and subject.size + sum(x.size for x in subject.x) <= 6000:
        for pair, full in zip(pairs, full_pairs(comparison)):
            if pair.wrong:
                pair.cause, pair.where = full.cause, full.where
                pair.analytic, pair.numeric, pair.bar = full.analytic, full.numeric, full.bar
                pair.off, pair.kink = full.off, full.kink
                pair.worst = pair.worst or full.worst
    return pairs


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
    # second derivatives do not exist where the first have kinks: too few of them is no verdict
    counted = [p for p in first if p.verdict not in ("vacuous", "zero")]
    elements, checked = sum(p.elements for p in counted), sum(p.checked for p in counted)
    return "passed" if 2 * checked >= elements else "unresolved"
