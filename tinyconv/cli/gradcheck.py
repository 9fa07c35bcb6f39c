"""``tinyconv gradcheck``: the derivative of one op, or of a function or network of the user's."""

import contextlib
import importlib
import inspect
import json
import sys
import traceback
from pathlib import Path

import numpy as np

import tinyconv
from tinyconv import nn, viz
from tinyconv.names import nearest_or
from tinyconv.train import TrainError
from tinyconv.train.errors import pick, reason
from tinyconv.train.progress import Bar

WRONG, NOT_CHECKED = 1, 2
DRAWS = 100
_PICTURES = (".png", ".svg", ".pdf")

#: what `tinyconv gradcheck --help` ends with
RULE = """\
OP is checked on cases drawn by Hypothesis; a failing one is made as small as can be.

MODULE:NAME is something that Python can import (or FILE.py:NAME):
  a function or Module with an attribute example_inputs, the tuple of its inputs; or
  a function without arguments that returns one of
    (function, inputs)             Tensors in, Tensors out
    (module, inputs)               its parameters are checked too
    (forward, backward, arrays)    plain NumPy: backward(gy, *arrays) gives the gradients

exit code: 0 passed, 1 wrong derivative, 2 not checked, 130 Ctrl-C
"""


def options(parser):
    parser.epilog = RULE
    parser.add_argument("subject", metavar="OP|MODULE:NAME", help="what to check")
    parser.add_argument(
        "--draws", type=int, metavar="N",
        help=f"how many cases (default {DRAWS} of an OP, 1 of a MODULE:NAME)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draws (default 0)")
    parser.add_argument(
        "--order", type=int, choices=(1, 2), default=2,
        help="1: first derivatives alone (default 2)",
    )  # fmt: skip
    parser.add_argument("--plot", metavar="FILE", help="draw the errors (.png, .svg or .pdf)")
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def run(args, say):
    """Check what ``args`` name, say the report; returns the exit code."""
    if args.draws is not None and args.draws < 1:
        raise TrainError(f"--draws={args.draws} must be at least 1")
    if args.seed < 0:
        raise TrainError(f"--seed={args.seed} must not be negative")
    _check_picture(args.plot)
    try:
        head, facts, report = (_user if ":" in args.subject else _op)(args)
    except viz.MissingMatplotlib as error:
        raise TrainError(error) from None
    if args.json:
        say(json.dumps({**facts, "report": report.to_dict()}, indent=1, allow_nan=False))
    else:
        say(f"{head}\n{report}" if head else report)
    if args.plot is not None:
        _draw(report, args.plot)
    if facts["passed"]:
        return 0
    return WRONG if report.verdict == "wrong" else NOT_CHECKED


# -- ops ----------------------------------------------------------------------------------
class _Failed(Exception):
    """A case got a verdict that it should not."""


def _op(args):
    """(first line, facts, report): of the smallest failing case, or else of the worst passed."""
    try:
        from tinyconv.testing.registry import OPS
    except ImportError as error:
        if error.name != "hypothesis":
            raise
        raise TrainError(
            "the cases of an op are drawn by Hypothesis, which is not here: install tinyconv[test]"
        ) from None
    if args.subject not in OPS and ("." in args.subject or "/" in args.subject):
        raise TrainError(f"{args.subject!r} is no op; a function is named like module:function")
    op = OPS[pick("op", args.subject, OPS)]
    draws = args.draws or DRAWS
    with Bar(len(op.examples) + draws, label=op.name) as bar:
        survey = _Survey(args, bar)
        survey.run(op, draws)
    case, report = survey.failing or survey.worst
    counts = ", ".join(f"{n} {verdict}" for verdict, n in survey.verdicts.items())
    facts = dict(op=op.name, cases=survey.count, passed=not survey.failing, case=repr(case))
    if survey.failing:
        return f"{op.name}: a case that fails, as small as could be found:\n{case}", facts, report
    return f"{op.name}: {survey.count} cases: {counts}; the worst of them:\n{case}", facts, report


class _Survey:
    """Cases of one op, checked until one fails."""

    def __init__(self, args, bar):
        self.seed, self.order, self.bar = args.seed, args.order, bar
        self.count, self.verdicts = 0, {}
        self.worst = self.failing = None

    def run(self, op, draws):
        from hypothesis import HealthCheck, Phase, given, seed, settings

        variants = op.variants[:draws]
        with contextlib.suppress(_Failed):
            for case in op.examples:
                self.one(case)
            for i, cases in enumerate(variants):
                share = draws * (i + 1) // len(variants) - draws * i // len(variants)
                rules = settings(
                    max_examples=share, database=None, deadline=None, report_multiple_bugs=False,
                    phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
                )  # fmt: skip
                # Hypothesis ends with the smallest case that it found to fail
                seed(self.seed)(rules(given(cases)(self.one)))()

    def one(self, case):
        from tinyconv.testing import check

        report = check(
            case.func, case.inputs, order=min(case.order, self.order), oracle=case.oracle,
            seed=self.seed,
        )  # fmt: skip
        if report.verdict not in case.expect:
            self.failing = case, report
            self.bar.step("fails; looking for a smaller case")
            raise _Failed
        if self.failing is None:
            self.count += 1
            self.verdicts[report.verdict] = self.verdicts.get(report.verdict, 0) + 1
            self.bar.step()
        if self.worst is None or report.error > self.worst[1].error:
            self.worst = case, report


# -- the user's own -----------------------------------------------------------------------
def _user(args):
    """(first line, facts, report) of the first draw that fails, or else of the worst."""
    path = list(sys.path)
    try:
        found = _load(args.subject)
        return _checked(found, args, args.draws or 1)
    finally:
        sys.path[:] = path


def _checked(found, args, draws):
    worst = None
    with Bar(draws, label=args.subject) as bar:
        for i in range(draws):
            tinyconv.manual_seed(args.seed + i)
            np.random.seed((args.seed + i) % 2**32)
            report = _told(args.subject, lambda: _check(found, args))
            bar.step()
            if worst is None or not report.passed or report.error > worst.error:
                worst = report
            if not report.passed:
                break
    facts = dict(subject=args.subject, cases=i + 1, passed=worst.passed)
    several = draws > 1 and worst.passed
    return f"{args.subject}: {draws} cases passed; the worst of them:" * several, facts, worst


def _load(word):
    """The object behind ``module:name`` or ``file.py:name``."""
    where, _, name = word.partition(":")
    if not where or not name:
        raise TrainError(f"{word!r}: wants module:name or file.py:name")
    found = _told(word, lambda: _module(where, word))
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_")]
            raise TrainError(f"{word}: {where} has no {part!r}; {nearest_or(part, known, _LOOK)}")
        found = getattr(found, part)
    return found


_LOOK = "Look at what it defines"


def _module(where, word):
    """The module, found from the current folder too, or from the folder of the file."""
    file = Path(where) if where.endswith(".py") else None
    if file is not None and not file.is_file():
        raise TrainError(f"{word}: there is no file {where}")
    sys.path.insert(0, str(Path.cwd() if file is None else file.parent.resolve()))
    name = where if file is None else file.stem
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # one that it imports itself
        raise TrainError(f"{word}: there is no module {error.name!r}") from None
    if file is not None and Path(module.__file__ or "").resolve() != file.resolve():
        raise TrainError(f"{word}: there is another module {name!r}; rename the file")
    return module


def _check(found, args):
    from tinyconv import testing

    function, *rest = _parts(found, args.subject)
    options = {"seed": args.seed, "order": args.order}
    if len(rest) == 2:
        return testing.check_vjp(function, *rest, seed=args.seed)
    (inputs,) = rest
    inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    if isinstance(function, nn.Module):
        return testing.check_module(function, *inputs, **options)
    return testing.check(function, inputs, **options)


def _parts(found, word):
    """(function, inputs) or (forward, backward, arrays) of what the user named."""
    if not hasattr(found, "example_inputs"):
        if not callable(found) or _wants_arguments(found):
            raise TrainError(
                f"{word}: needs inputs: give it an attribute example_inputs, or name a function "
                "without arguments that returns (function, inputs)"
            )
        found = found()
    if hasattr(found, "example_inputs"):
        inputs = found.example_inputs
        return found, inputs() if callable(inputs) else inputs
    if not isinstance(found, tuple) or len(found) not in (2, 3) or not callable(found[0]):
        raise TrainError(
            f"{word}: returned {type(found).__name__}; wants (function, inputs) or "
            "(forward, backward, arrays)"
        )
    return found


def _wants_arguments(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins tell nothing
        return True
    flexible = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return any(p.default is p.empty and p.kind not in flexible for p in parameters)


def _told(word, run):
    """``run()``; what the user's code raises becomes one sentence that says where."""
    try:
        return run()
    except (TrainError, MemoryError):
        raise
    except Exception as error:
        ours = str(Path(tinyconv.__file__).parent)
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if not f.filename.startswith((ours, "<frozen"))]
        place = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
        raise TrainError(f"{word}: {type(error).__name__}: {error}{place}") from error


# -- the picture --------------------------------------------------------------------------
def _check_picture(file):
    """Before the check begins: it may take a while."""
    if file is None:
        return
    path = Path(file)
    if path.suffix.lower() not in _PICTURES:
        raise TrainError(f"--plot={file}: wants a name that ends in {', '.join(_PICTURES)}")
    if not path.parent.is_dir():
        raise TrainError(f"--plot={file}: there is no folder {path.parent}")


def _draw(report, file):
    try:
        viz.error_map(report).savefig(file)
    except viz.MissingMatplotlib as error:
        raise TrainError(error) from None
    except OSError as error:
        raise TrainError(f"--plot={file}: cannot be written ({reason(error)})") from None
