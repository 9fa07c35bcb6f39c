"""``fit``: a run from settings to pictures."""

import contextlib
import dataclasses
import shlex

import numpy as np

from tinyconv import data, kernels, viz
from tinyconv.autograd import no_grad
from tinyconv.nn import Module
from tinyconv.nn import functional as F
from tinyconv.ops import random as ops_random
from tinyconv.train.checkpoint import write_atomically
from tinyconv.train.config import TrainConfig
from tinyconv.train.errors import TrainError
from tinyconv.train.folder import RunFolder
from tinyconv.train.inputs import (
    check_fit,
    check_threads,
    named_data,
    named_model,
    own_data,
    short_name,
)
from tinyconv.train.loop import TEST_BATCH, Trainer

#: settings that may differ when a run goes on: they change no result
HARMLESS = ("workers", "threads", "save_seconds")


def fit(config=None, *, model=None, dataset=None, out=None, resume=None, say=print, **options):
    """Train a network; the same as ``tinyconv train``.

    Args:
        config: a ``TrainConfig``; or give its fields as keywords.
        model: name of a network, or a Module of your own, which is trained in place.
        dataset: name of a data set, or a pair (training, held-out) of your own Datasets of
            (image (C, H, W), label); held-out may be None.
        out: the run folder; default ``runs/<model>-<dataset>-<n>``, the next free one. False
            writes nothing.
        resume: a run folder to go on with, in place of all of the above (a network or data of
            your own must be given again).
        say: called with each line for the user; default ``print``.
        options: fields of ``TrainConfig``, like ``epochs=2``.

    Returns:
        ``History``. After Ctrl-C or SIGTERM its ``interrupted`` is True, and ``resume`` goes on,
        bit for bit.

    Raises:
        TrainError: for settings, data or a folder that cannot be used, in one sentence.
        NonFiniteError: when the loss becomes NaN or infinite; it names the first layer at fault.

    >>> import tinyconv as tc
    >>> from tinyconv.train import fit
    >>> images = [(tc.full((1, 4, 4), float(i % 2)), i % 2) for i in range(64)]
    >>> net = tc.nn.Sequential(tc.nn.Flatten(), tc.nn.Linear(16, 2))
    >>> history = fit(
    ...     model=net, dataset=(images, images), out=False, say=lambda line: None,
    ...     epochs=5, batch_size=8, lr=0.1,
    ... )
    >>> history["test_accuracy"][-1]
    1.0
    """
    say = _flushed if say is print else say
    check_threads()
    config, folder = _settle(config, model, dataset, out, resume, options)
    before = ops_random.get_rng_state()
    with contextlib.ExitStack() as stack:
        stack.callback(ops_random.set_rng_state, before)
        if folder is not None:
            stack.enter_context(folder)
        ops_random.manual_seed(config.seed)
        inputs = _inputs(config, dataset)
        net, about = _network(config, model, inputs)
        watch = kernels.jit.watch
        compiled = watch.seconds
        check_fit(net, about["name"], inputs)
        if folder is None and out is not False:
            folder = stack.enter_context(RunFolder.new(short_name(about["name"], inputs.name)))
        trainer = Trainer(config, net, inputs, folder, about, say)
        _begin(trainer, resume is not None)
        history = trainer.run()
        history.compile_seconds = watch.seconds - compiled
        _end(trainer)
    return history


def _begin(trainer, resumed):
    config, folder, say = trainer.config, trainer.folder, trainer.say
    if resumed:
        folder.check_resumable()
        state = folder.load("last.npz")
        if state is not None:
            trainer.restore(state)
    # before anything is written: where nothing can be said, no folder is left that is no run
    say(_headline(trainer))
    processors = kernels.parallel.available_threads()
    if config.threads > processors:
        say(f"note: threads={config.threads}, but there are {processors} processors: no gain")
    if folder is not None:
        if not resumed:
            folder.write_config(config)
        folder.rewrite_log(trainer.history.records)
    at = trainer.at
    if resumed and at.epoch >= config.epochs:
        say(f"this run is finished: {at.epoch} of {config.epochs} epochs are done")
    elif resumed:
        say(f"goes on after {at.epoch} of {config.epochs} epochs and {at.batch} steps")


def _end(trainer):
    history, folder, say, at = trainer.history, trainer.folder, trainer.say, trainer.at
    kept = "nothing was saved" if folder is None else "all is saved. Go on with: " + _call(trainer)
    ended = f"interrupted after {at.epoch} epochs and {at.batch} steps; {kept}"
    try:
        if folder is not None:
            _draw(trainer)
    except KeyboardInterrupt:
        done = f"training is complete and saved; the pictures are drawn by: {_call(trainer)}"
        say(ended if history.interrupted else done)
        raise
    say(_summary(history, at.seconds))
    if history.interrupted:
        say(ended)


def _call(trainer):
    """What takes this run up again."""
    config, folder = trainer.config, trainer.folder
    own = [f"{name}=..." for name in ("model", "dataset") if getattr(config, name) is None]
    if own:
        return f"tinyconv.train.fit({', '.join([f'resume={str(folder)!r}', *own])})"
    return f"tinyconv train --resume {shlex.quote(str(folder))}"


# -- before -------------------------------------------------------------------------------
def _settle(config, model, dataset, out, resume, options):
    """(config, folder or None if it is not known yet)."""
    own_model, own_data_ = isinstance(model, Module), isinstance(dataset, (tuple, list))
    if resume is not None:
        return _settle_resumed(config, model, dataset, out, resume, options)
    if config is not None and options:
        raise TrainError(f"give a config or options ({', '.join(options)}), not both")
    chosen = {}
    for name, value, own in (("model", model, own_model), ("dataset", dataset, own_data_)):
        if value is not None:
            chosen[name] = None if own else value
    if config is None:
        config = TrainConfig.make(**options, **chosen)
    else:
        config = dataclasses.replace(config, **chosen)
    if config.model is None and not own_model:
        raise TrainError("model=None: give a network of your own as model=")
    if config.dataset is None and not own_data_:
        raise TrainError("dataset=None: give (training, held-out) as dataset=")
    return config, RunFolder(out) if out else None


def _settle_resumed(config, model, dataset, out, resume, options):
    fixed = [name for name in options if name not in HARMLESS]
    if config is not None or out is not None or fixed:
        given = ["config"] * (config is not None) + ["out"] * (out is not None) + fixed
        raise TrainError(
            f"resume goes on with the settings in {resume}/config.json; leave out "
            + ", ".join(given)
        )
    folder = RunFolder(resume, resume=True)
    try:
        kept = folder.read_config()
        for what, own, value in (("network", kept.model, model), ("data", kept.dataset, dataset)):
            if own is None and (value is None or isinstance(value, str)):
                raise TrainError(f"{resume}: its {what} was your own: give the same again")
            if own is not None and value is not None and value != own:
                raise TrainError(f"{resume}: its {what} is {own}; leave out {value!r}")
        return dataclasses.replace(kept, **options), folder
    except TrainError:
        folder.close()
        raise


def _inputs(config, dataset):
    if config.dataset is not None:
        return named_data(config)
    if len(dataset) != 2:
        raise TrainError(f"dataset: wants a pair (training, held-out), got {len(dataset)} parts")
    return own_data(*dataset, config)


def _network(config, model, inputs):
    """The network, and what checkpoints carry along about it."""
    about = {
        "model": config.model, "model_options": {}, "dataset": inputs.name,
        "classes": list(inputs.classes), "mean": list(inputs.mean), "std": list(inputs.std),
        "shape": list(inputs.shape),
    }  # fmt: skip
    if config.model is None:
        return model, {**about, "name": type(model).__name__}
    net, options = named_model(config, inputs)
    return net, {**about, "name": config.model, "model_options": options}


def _headline(trainer):
    inputs, folder = trainer.inputs, trainer.folder
    count = sum(p.numel() for p in trainer.model.parameters())
    held = "none" if inputs.test is None else f"{len(inputs.test):,}"
    where = f", into {folder}" if folder is not None else ""
    return (
        f"{trainer.about['name']} ({count:,} parameters) on {inputs.name} "
        f"({len(inputs.train):,} training, {held} held-out images){where}"
    )


# -- after --------------------------------------------------------------------------------
def _summary(history, begun):
    """The last line; ``begun`` is the time spent in an epoch that is not done."""
    text = (
        f"trained for {history.seconds + begun:.1f} s; compiling kernels took "
        f"{history.compile_seconds:.1f} s"
    )
    best = history.best
    if best is None:
        return text
    half = "held-out" if best["test_accuracy"] is not None else "training"
    share = best["test_accuracy"] if half == "held-out" else best["train_accuracy"]
    return f"best {half} accuracy {share:.2%} (epoch {best['epoch']}); {text}"


def _draw(trainer):
    """Both pictures; what goes wrong here is told, but costs no run."""
    folder, history, about, say = trainer.folder, trainer.history, trainer.about, trainer.say
    if not history.records:
        return
    try:
        title = f"{about['name']} on {about['dataset']}"
        _write(folder / "curves.png", viz.curves(history, title))
        if trainer.inputs.test is not None and not history.interrupted:
            images, labels, shares = _best_answers(trainer)
            classes = trainer.inputs.classes
            _write(folder / "mistakes.png", viz.mistakes(images, labels, shares, classes))
            wrong = int((shares.argmax(1) != labels).sum())
            say(f"{wrong:,} mistakes among {len(labels):,} held-out images")
    except viz.MissingMatplotlib as error:
        say(f"no pictures: {error}")
    except TrainError as error:
        say(f"no picture: {error}")


def _write(path, figure):
    content = viz.png(figure)
    write_atomically(path, lambda file: file.write(content))


def _best_answers(trainer):
    """(images to show, labels, probabilities) of the held-out images, by the best weights."""
    model, test = trainer.model, trainer.inputs.test
    last = {name: value.array.copy() for name, value in model.state_dict().items()}
    best = trainer.folder.load("best.npz")
    shown, labels, shares = [], [], []
    try:
        model.load_state_dict(best["weights"] if best else last)
        model.eval()
        for x, y in data.DataLoader(test, batch_size=TEST_BATCH):
            with no_grad():
                shares.append(F.softmax(model(x), dim=1).array)
            labels.append(y.array)
            shown.append(x.array)
    finally:
        model.load_state_dict(last)
    images = test.images if isinstance(test, data.ImageDataset) else np.concatenate(shown)
    return images, np.concatenate(labels), np.concatenate(shares)


def _flushed(line):
    print(line, flush=True)
