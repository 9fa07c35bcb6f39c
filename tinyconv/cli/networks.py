"""``tinyconv models`` and ``tinyconv summary``: which networks there are, and what they cost."""

import ast
import json

from tinyconv import models, nn
from tinyconv.models.registry import find
from tinyconv.models.summary import count, summary
from tinyconv.names import plain
from tinyconv.train import TrainError
from tinyconv.train.config import model_name
from tinyconv.train.errors import reason
from tinyconv.train.inputs import build_model


def options_of(words):
    """The options of a network's class that words like ``name=value`` give."""
    return dict(map(_name_and_value, words))


def _name_and_value(word):
    name, equals, text = word.partition("=")
    if not equals or not name.isidentifier():
        raise TrainError(f"--model-options wants NAME=VALUE, got {word!r}")
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text


def listing_options(parser):
    parser.add_argument("word", nargs="?", metavar="WORD", help="only those with WORD in the name")


def listing(args, say):
    """Print the networks that there are."""
    names = models.list_models()
    if args.word is not None:
        names = [name for name in names if plain(args.word) in plain(_names_of(name))]
        if not names:
            raise TrainError(f"no network has {args.word!r} in its name; see `tinyconv models`")
    width = max(map(len, names))
    say(f"{'name':<{width}} {'parameters':>12} {'MACs':>8}  images     about")
    for name in names:
        entry = find(name)
        with nn.init.skip_init():
            parameters, macs = count(entry.make(), entry.input)
        short = f"; short: {', '.join(entry.aliases)}" if entry.aliases else ""
        say(
            f"{name:<{width}} {parameters:>12,} {_rounded(macs):>8}  "
            f"{'x'.join(map(str, entry.input)):<10} {entry.about}{short}"
        )


def _names_of(name):
    return " ".join((name, *find(name).aliases))


def _rounded(number):
    """Three digits: 4.09 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            value = number / size
            return f"{value:.{2 - len(str(int(value))) + 1}f} {unit}"
    return str(number)


def costs_options(parser):
    parser.add_argument("model", metavar="MODEL", help="see `tinyconv models`")
    parser.add_argument(
        "--input", metavar="CxHxW", help="image size (default: what the network is made for)"
    )
    parser.add_argument(
        "--classes", type=int, metavar="N",
        help="outputs (default: of the data that the network is made for)",
    )  # fmt: skip
    parser.add_argument(
        "--depth", type=int, metavar="N",
        help="modules are opened N levels deep (default: as far as it stays readable)",
    )  # fmt: skip
    parser.add_argument(
        "--model-options", nargs="+", default=[], metavar="NAME=VALUE",
        help="of the network's class, like aux_logits=False",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the same as JSON, no layer folded")
    parser.add_argument(
        "--diagram", metavar="FILE", help="draw the graph too: .svg, or .png with Matplotlib"
    )


def costs(args, say):
    """Print what a network costs."""
    model, options = model_name(args.model), options_of(args.model_options)
    entry = find(model)
    for name in ("classes", "depth"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise TrainError(f"--{name}={getattr(args, name)} must be at least 1")
    if args.classes is not None:
        options["num_classes"] = args.classes
    size = entry.input if args.input is None else _image_size(args.input)
    if args.input is not None:
        options["in_channels"] = size[0]
    shape = "x".join(map(str, size))
    with nn.init.skip_init():
        net = build_model(model, options)
    try:
        result = summary(net, size, args.depth)
    except (ValueError, RuntimeError) as error:
        raise TrainError(f"{model} does not take images of {shape}: {error}") from error
    except MemoryError as error:
        raise TrainError(f"images of {shape} need more memory than there is ({error})") from None
    if args.diagram is not None:
        _draw(result, args.diagram)
    say(json.dumps(result.to_dict(), indent=2) if args.json else result)


def _draw(result, path):
    try:
        result.save(path)
    except (ValueError, ImportError) as error:
        raise TrainError(str(error)) from None
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({reason(error)})") from None


def _image_size(text):
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(p.isdecimal() and int(p) > 0 for p in parts):
        raise TrainError(f"--input={text!r} must be channels x height x width, like 3x32x32")
    return tuple(map(int, parts))
