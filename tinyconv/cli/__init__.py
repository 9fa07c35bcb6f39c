"""The command line: train, predict, check gradients, and ask what there is.

What the user can put right is told in one sentence on standard error, with exit code 2; a
traceback always means a fault of tinyconv's own. Ctrl-C ends with 130, as shells expect.
"""

import argparse
import contextlib
import dataclasses
import os
import platform
import sys
import time
from importlib import metadata, util

import tinyconv
from tinyconv import data, kernels, models, nn, optim, train, weights
from tinyconv.cli import gradcheck, networks
from tinyconv.names import nearest_or
from tinyconv.train import TrainConfig, TrainError
from tinyconv.train.errors import pick, reason
from tinyconv.train.inputs import check_threads

INTERRUPTED = 130
#: networks whose training step calls every kernel that `warmup` compiles: (name, image shape)
WARMUP = (("inception_small", (1, 28, 28)), ("cifar_resnet20_A", (3, 32, 32)))

#: what `tinyconv --help` ends with
ENVIRONMENT = """environment variables:
  TINYCONV_NUM_THREADS   threads that compute (default: all processors)
  TINYCONV_CACHE         folder for downloaded data sets (default: ~/.cache/tinyconv)
  TINYCONV_KERNEL_CACHE  folder for compiled kernels (default: ~/.cache/tinyconv/kernels)
  TINYCONV_QUIET         when set, compiling kernels is not announced
"""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print its usage and exit."""

    def error(self, message):
        raise TrainError(f"{message}; see `{self.prog} --help`")


def main(argv=None):
    """Run a command.

    Args:
        argv: list of words (default: those of the process).

    Returns:
        the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C.

    >>> from tinyconv.cli import main
    >>> main(["summary", "lenet5"])                     # doctest: +ELLIPSIS
    LeNet5, input 1x1x28x28; MACs are for one image
    ...
    0
    """
    try:
        try:
            return _main(sys.argv[1:] if argv is None else list(argv)) or 0
        finally:
            _print(end="")  # here what could not be written becomes an error
    except TrainError as error:
        return _told(error)
    except MemoryError as error:
        return _told(f"out of memory ({str(error) or 'no more is to be had'})")
    except KeyboardInterrupt:
        print("tinyconv: aborted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `tinyconv models | head`
        _drop_output()
        return 141


def _told(error):
    print(f"tinyconv: error: {error}", file=sys.stderr)
    return 2


def _print(*words, end="\n"):
    """``print`` that reaches the file or pipe at once, or raises ``TrainError``."""
    try:
        print(*words, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise TrainError(f"the output cannot be written ({reason(error)})") from None


def _drop_output():
    """What still waits to be written goes nowhere, so that Python's exit does not fail on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it need not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(argv):
    parser, commands = _parsers()
    if argv and not argv[0].startswith("-"):
        argv[0] = pick("command", argv[0], commands)
    args, rest = parser.parse_known_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    if args.command == "predict":  # argparse takes positional words once, not behind options
        args.words += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        _refuse(rest[0], commands[args.command])
    check_threads()
    return args.run(args)


def _refuse(word, parser):
    name = word.split("=")[0]
    known = [s for action in parser._actions for s in action.option_strings if s != "-h"]
    known = known if name.startswith("-") else []
    hint = nearest_or(name, known, f"See `{parser.prog} --help`")
    raise TrainError(f"unknown argument {name!r}; {hint}")


def _parsers():
    """(the whole parser, name -> the parser of each command)."""
    parser = _Parser(
        prog="tinyconv", description="Train small convolutional networks on a CPU.",
        epilog=ENVIRONMENT, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=tinyconv.__version__)
    sub = parser.add_subparsers(dest="command", metavar="command", parser_class=_Parser)
    for name, run, options in (
        ("train", _train, _train_options),
        ("predict", _predict, _predict_options),
        ("gradcheck", _gradcheck, gradcheck.options),
        ("models", _models, networks.listing_options),
        ("summary", _summary, networks.costs_options),
        ("doctor", _doctor, None),
        ("warmup", _warmup, None),
    ):
        command = sub.add_parser(
            name,
            help=run.__doc__,
            description=run.__doc__,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        if options is not None:
            options(command)
    return parser, sub.choices


# -- train --------------------------------------------------------------------------------
def _train_options(parser):
    parser.add_argument(
        "--out", metavar="FOLDER", help="run folder (default: runs/<model>-<dataset>-<n>)"
    )
    parser.add_argument(
        "--resume", metavar="FOLDER", help="go on with the run in FOLDER, with its own settings"
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    for f in dataclasses.fields(TrainConfig):
        text = f.metadata["help"]
        default = None if f.default is dataclasses.MISSING else f.default
        if default is not None:
            text += f" (default: {default})"
        parser.add_argument(
            "--" + f.name.replace("_", "-"), default=argparse.SUPPRESS, help=text,
            **_reader_of(f),
        )  # fmt: skip


def _reader_of(f):
    """How argparse reads a field of the settings."""
    kind = f.type.__name__ if isinstance(f.type, type) else str(f.type)
    if kind.startswith("dict"):
        return {"nargs": "+", "metavar": "NAME=VALUE"}
    if kind.startswith("list"):
        return {"nargs": "+", "type": int, "metavar": "N"}
    if "int" in kind or "float" in kind:
        return {"type": int if "int" in kind else float, "metavar": "N"}
    return {"metavar": "NAME" if f.name != "data_root" else "FOLDER"}


def _train(args):
    """train a network; Ctrl-C saves, --resume goes on"""
    options = {k: v for k, v in vars(args).items() if k not in ("command", "run")}
    out, resume, quiet = (options.pop(name) for name in ("out", "resume", "quiet"))
    if out == "" or resume == "":
        raise TrainError("the name of the run folder is empty")
    if "model_options" in options:
        options["model_options"] = networks.options_of(options["model_options"])
    if resume is not None and out is not None:
        raise TrainError("--resume goes on in its own folder; leave out --out")
    say = (lambda line: None) if quiet else _print
    if resume is None:
        history = train.fit(out=out, say=say, **options)
    else:
        history = train.fit(resume=resume, say=say, **options)
    return INTERRUPTED if history.interrupted else 0


# -- predict ------------------------------------------------------------------------------
def _predict_options(parser):
    parser.usage = (
        "%(prog)s [--top N] RUN IMAGE [IMAGE ...]\n"
        "       %(prog)s [--top N] [--preprocess NAME] --model MODEL --weights FILE "
        "IMAGE [IMAGE ...]"
    )
    parser.add_argument(
        "words", nargs="*", metavar="RUN IMAGE",
        help="run folder or checkpoint file, unless --weights is given; then pictures (with "
        "Pillow) and, for a run, .npy files (bytes from 0 to 255 or floats from 0 to 1) or IDX "
        "files; digits are white on black",
    )  # fmt: skip
    parser.add_argument("--model", metavar="MODEL", help="network, see `tinyconv models`")
    parser.add_argument(
        "--weights", metavar="FILE", help="its weights: .pth, .safetensors, .npz or .h5 (Keras)"
    )
    parser.add_argument(
        "--preprocess", metavar="NAME",
        help="how pictures are prepared (default: as most weights of the network want): "
        + ", ".join(weights.PREPROCESS),
    )  # fmt: skip
    parser.add_argument(
        "--top", type=int, metavar="N", help="classes to print (default 3, with --weights 5)"
    )


def _predict(args):
    """the likeliest classes of images, by a trained network"""
    if args.top is not None and args.top < 1:
        raise TrainError(f"--top={args.top} must be at least 1")
    options = {} if args.top is None else {"top": args.top}
    if args.weights is None:
        for name in ("model", "preprocess"):
            if getattr(args, name) is not None:
                raise TrainError(f"--{name} goes with --weights FILE; a run has its own")
        missing = ["RUN", "IMAGE"][len(args.words) :]
        _require(missing)
        found = train.predict(args.words[0], args.words[1:], **options)
    else:
        _require([] if args.words else ["IMAGE"])
        if args.model is None:
            raise TrainError(f"--weights goes with --model MODEL{_guess(args.weights)}")
        found = train.classify(args.words, args.model, args.weights, args.preprocess, **options)
    for prediction in found:
        _print(prediction)


def _require(missing):
    if missing:
        raise TrainError(
            f"the following arguments are required: {', '.join(missing)}; see `tinyconv predict "
            "--help`"
        )


def _guess(path):
    """Which network a file of weights seems to be for, as a part of a sentence."""
    try:
        like = weights.looks_like(weights.load_file(path))
    except weights.WeightsError as error:
        raise TrainError(str(error)) from None
    return f"; the file looks like --model {like}" if like else ""


# -- gradcheck ----------------------------------------------------------------------------
def _gradcheck(args):
    """check the derivative of an op, or of a function or network of yours"""
    return gradcheck.run(args, _print)


# -- models and summary -------------------------------------------------------------------
def _models(args):
    """the networks that there are: parameters, multiply-adds, images they are made for"""
    networks.listing(args, _print)


def _summary(args):
    """a network's layers: shapes, parameters, multiply-adds, memory, receptive fields"""
    networks.costs(args, _print)


# -- doctor and warmup --------------------------------------------------------------------
def _doctor(args):
    """versions, threads, caches: what a bug report should hold"""
    lines = [("tinyconv", tinyconv.__version__), ("python", platform.python_version())]
    lines.append(("system", f"{platform.system()} {platform.machine()}"))
    for package, use in (
        ("numpy", ""), ("numba", ""), ("llvmlite", ""), ("matplotlib", "pictures"),
        ("tqdm", "progress bars"), ("Pillow", "reading pictures"),
    ):  # fmt: skip
        try:
            lines.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            lines.append((package, f"not installed (for {use})" if use else "NOT INSTALLED"))
    if util.find_spec("numba") is not None:
        from tinyconv.kernels import simd  # loads Numba

        lines.append(("SIMD", f"{simd.BITS} bits, {simd.BITS // 32} numbers of float32 at once"))
        lines.append(("kernel cache", _cache_state(kernels.jit.cache_folder())))
    lines.append(("threads", f"{kernels.get_num_threads()} of {os.cpu_count()} processors"))
    lines.append(("data cache", str(data.cache_folder())))
    for name, value in lines:
        _print(f"{name:<13} {value}")


def _cache_state(folder):
    if folder is None:
        return "no folder can be written: kernels are compiled in each process anew"
    files = [f for f in folder.iterdir() if f.suffix == ".nbc"]
    size = sum(f.stat().st_size for f in files)
    state = f"{len(files)} kernels, {size / 2**20:.1f} MiB" if files else "empty: `tinyconv warmup`"
    return f"{folder} ({state})"


def _warmup(args):
    """compile the kernels now, so that the first training need not"""
    began, watch = time.perf_counter(), kernels.jit.watch
    count = len(WARMUP) + 1
    for i, (name, shape) in enumerate(WARMUP, 1):
        _print(f"{i}/{count} {name} ...")
        _train_a_little(models.get_model(name, in_channels=shape[0]), shape)
    _print(f"{count}/{count} every way to convolve, in float32 and float64, and to pool ...")
    for algorithm in kernels.choice.ALGORITHMS:
        with kernels.conv_algorithm(algorithm):
            _convolve_once(algorithm, tinyconv.float32)
            _convolve_once(algorithm, tinyconv.float64)
    _pool_once()
    _print(
        f"ready in {time.perf_counter() - began:.1f} s: {watch.kernels} kernels compiled in "
        f"{watch.seconds:.1f} s, the others were in the cache"
    )


def _train_a_little(net, shape):
    """Two steps by each optimiser, and a look at the images."""
    x, labels = tinyconv.zeros(2, *shape), tinyconv.tensor([0, 1])
    for optimizer in (
        optim.SGD(net.parameters(), lr=0.0, momentum=0.9), optim.Adam(net.parameters(), lr=0.0)
    ):  # fmt: skip
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), labels).backward()
            optimizer.step()
    net.eval()
    with tinyconv.no_grad():
        net(x)


def _convolve_once(algorithm, dtype):
    """Convolutions that the algorithm can do, in all three directions."""
    size, groups = (1 if algorithm == "pointwise" else 3), (4 if algorithm == "depthwise" else 1)
    x = tinyconv.zeros(16, 4, 8, 8, dtype=dtype, requires_grad=True)
    w = tinyconv.zeros(4, 4 // groups, size, size, dtype=dtype, requires_grad=True)
    for stride in (1, 2) if algorithm != "winograd" else (1,):
        y = nn.functional.conv2d(x, w, stride=stride, padding=size // 2, groups=groups)
        y.sum().backward()


def _pool_once():
    """The pools that networks are made of, both ways."""
    x = tinyconv.zeros(2, 4, 8, 8, requires_grad=True)
    for size, stride in ((2, 2), (3, 2), (3, 1)):
        for pool in (nn.functional.max_pool2d, nn.functional.avg_pool2d):
            pool(x, size, stride, padding=size // 3).sum().backward()
