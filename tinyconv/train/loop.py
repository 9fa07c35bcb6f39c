"""The training loop. All that fixes its future is in a checkpoint, so it can stop anywhere."""

import contextlib
import time
from dataclasses import asdict, dataclass

import numpy as np

from tinyconv import kernels
from tinyconv.autograd import no_grad
from tinyconv.data import DataLoader
from tinyconv.nn import functional as F
from tinyconv.ops import random as ops_random
from tinyconv.train.diagnosis import explain, is_finite
from tinyconv.train.errors import NonFiniteError, TrainError
from tinyconv.train.history import History, merit
from tinyconv.train.inputs import auxiliary_weight, check_labels
from tinyconv.train.interrupt import InterruptGuard
from tinyconv.train.progress import Bar
from tinyconv.train.recipe import make_optimizer, make_scheduler

#: held-out images in a step: enough to keep all threads busy, little memory
TEST_BATCH = 256


@dataclass
class Position:
    """Where in the run we are, and what the begun epoch has summed up so far."""

    epoch: int = 0  # epochs that are done
    batch: int = 0  # steps done in the next one
    loss: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    compile_seconds: float = 0.0


class Trainer:
    """Network, data, optimiser and schedule of a run, and the loop over them.

    Args:
        config: the ``TrainConfig``.
        model: the network, trained in place.
        inputs: the ``Inputs``: both halves of the data.
        folder: an open ``RunFolder``, or None to write nothing.
        about: plain dict that checkpoints carry along for ``predict``.
        say: called with each line for the user.

    >>> import tinyconv as tc
    >>> from tinyconv.train import TrainConfig, Trainer
    >>> from tinyconv.train.inputs import Inputs
    >>> images = [(tc.zeros(1, 4, 4), i % 2) for i in range(8)]
    >>> net = tc.nn.Sequential(tc.nn.Flatten(), tc.nn.Linear(16, 2))
    >>> config = TrainConfig(model=None, dataset=None, epochs=2, batch_size=4)
    >>> len(Trainer(config, net, Inputs(images, images), say=lambda line: None).run())
    2
    """

    def __init__(self, config, model, inputs, folder=None, about=None, say=print):
        self.config, self.model, self.inputs = config, model, inputs
        self.folder, self.about, self.say = folder, about or {}, say
        self.loader = DataLoader(
            inputs.train,
            batch_size=config.batch_size,
            shuffle=True,
            num_workers=config.workers,
            seed=config.seed,
        )
        self.optimizer = make_optimizer(config, model.parameters())
        self.scheduler = make_scheduler(config, self.optimizer, len(self.loader))
        self.at = Position()
        self.history = History(folder=folder and folder.path, model=model)
        self._saved = time.monotonic()

    # -- state -------------------------------------------------------------------------
    def state(self):
        """All that the rest of the run depends on."""
        return {
            "about": self.about,
            "weights": dict(self.model.state_dict()),
            "optimizer": dict(self.optimizer.state_dict()),
            "scheduler": self.scheduler.state_dict(),
            "random": ops_random.get_rng_state(),
            "position": asdict(self.at),
            "records": self.history.records,
        }

    def restore(self, state):
        """Go on from what ``state`` gave.

        Raises:
            TrainError: if it belongs to another network or data.
        """
        try:
            self.model.load_state_dict(state["weights"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            ops_random.set_rng_state(state["random"])
            self.at = Position(**state["position"])
            self.history.records[:] = state["records"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise TrainError(f"the checkpoint does not fit this run: {error}") from error
        if self.at.batch > len(self.loader):
            raise TrainError(
                f"the checkpoint is at step {self.at.batch} of an epoch, but these data make only "
                f"{len(self.loader)} steps: they are not those that the run began with"
            )

    def _save(self, name="last.npz"):
        self._saved = time.monotonic()
        if self.folder is None:
            return
        if not is_finite(self.model.parameters()):
            raise NonFiniteError(
                f"{self._where()}: an update of the weights overflowed, so they were not saved. "
                f"{self._advice()}"
            )
        state = self.state()
        if name == "best.npz":
            state = {key: state[key] for key in ("about", "weights", "records")}
        self.folder.save(name, state)

    # -- the loop ----------------------------------------------------------------------
    def run(self):
        """Train from where we are to the end, or to the first Ctrl-C or SIGTERM.

        Returns:
            the ``History``.

        Raises:
            NonFiniteError: when the loss or a gradient becomes NaN or infinite.
            TrainError: when the folder cannot be written any more.
        """
        # NaN and infinity are looked for here, so NumPy need not warn of them as well
        quiet = np.errstate(all="ignore")
        with InterruptGuard() as guard, _threads(self.config.threads), quiet:
            if self.at == Position():
                self._save()  # from here on every run can be resumed
            while self.at.epoch < self.config.epochs and not guard.asked:
                self._train_epoch(guard)
                tested = None if guard.asked else self._test_epoch(guard)
                if tested is not None:
                    self._finish_epoch(tested)
            self.history.interrupted = self.at.epoch < self.config.epochs
            if self.history.interrupted:
                self._save()
        return self.history

    def _train_epoch(self, guard):
        at, steps = self.at, len(self.loader)
        label = f"epoch {at.epoch + 1}/{self.config.epochs}"
        self.model.train()
        self.loader.set_epoch(at.epoch)
        watch = kernels.jit.watch  # loads Numba, before the clock runs
        with Bar(steps, at.batch, label) as bar, contextlib.ExitStack() as stack:
            batches = self.loader.iter_from(at.batch)
            stack.callback(batches.close)
            began, compiled = time.perf_counter(), watch.seconds
            while at.batch < steps and not guard.asked:
                self._step(*next(batches))
                now, now_compiled = time.perf_counter(), watch.seconds
                at.seconds += now - began - (now_compiled - compiled)
                at.compile_seconds += now_compiled - compiled
                began, compiled = now, now_compiled
                bar.step(f"loss {at.loss / at.seen:.4f}, accuracy {at.correct / at.seen:.2%}")
                if time.monotonic() - self._saved > self.config.save_seconds:
                    self._save()
                    began = time.perf_counter()

    def _step(self, images, labels):
        before = ops_random.get_rng_state()
        loss, scores = self._loss(images, labels)
        if not is_finite([loss]):
            raise self._diagnosed(f"the loss is {loss.item()}", images, labels, before)
        self.optimizer.zero_grad()
        loss.backward()
        if not is_finite(p.grad for p in self.model.parameters()):
            raise self._diagnosed("a gradient is NaN or infinite", images, labels, before)
        self.optimizer.step()
        at = self.at
        at.batch += 1
        at.seen += len(labels)
        with no_grad():  # without smoothing: to be compared with the held-out images
            at.loss += F.cross_entropy(scores, labels, reduction="sum").item()
        at.correct += int((scores.array.argmax(1) == labels.array).sum())
        if at.epoch * len(self.loader) + at.batch < self.config.epochs * len(self.loader):
            self.scheduler.step()

    def _loss(self, images, labels):
        """(the loss to descend, the scores): auxiliary classifiers count with their weight."""
        outputs = self.model(images)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        check_labels("training", labels.array, scores.shape[1], type(self.model).__name__)
        smoothing = self.config.label_smoothing
        loss = F.cross_entropy(scores, labels, label_smoothing=smoothing)
        for other in auxiliary:
            share = F.cross_entropy(other, labels, label_smoothing=smoothing)
            loss = loss + share * auxiliary_weight(self.model)
        return loss, scores

    def _test_epoch(self, guard):
        """(mean loss, accuracy, seconds) over the held-out images; None when interrupted."""
        if self.inputs.test is None:
            return None, None, 0.0
        watch = kernels.jit.watch
        began, compiled = time.perf_counter(), watch.seconds
        loss = correct = seen = 0
        self.model.eval()
        for images, labels in DataLoader(self.inputs.test, batch_size=TEST_BATCH):
            if guard.asked:
                return None
            with no_grad():
                scores = self.model(images)
                check_labels("held-out", labels.array, scores.shape[1], type(self.model).__name__)
                loss += F.cross_entropy(scores, labels, reduction="sum").item()
            correct += int((scores.array.argmax(1) == labels.array).sum())
            seen += len(labels)
        spent = time.perf_counter() - began
        self.at.compile_seconds += watch.seconds - compiled
        return loss / seen, correct / seen, spent - (watch.seconds - compiled)

    def _finish_epoch(self, tested):
        at, best = self.at, self.history.best
        test_loss, test_accuracy, test_seconds = tested
        record = {
            "epoch": at.epoch + 1,
            "train_loss": at.loss / at.seen,
            "train_accuracy": at.correct / at.seen,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "lr": self.scheduler.get_last_lr()[0],
            "seconds": round(at.seconds, 3),
            "test_seconds": round(test_seconds, 3),
            "compile_seconds": round(at.compile_seconds, 3),
        }
        self.history.records.append(record)
        self.at = Position(epoch=at.epoch + 1)
        if best is None or merit(record) > merit(best):
            self._save("best.npz")
        if self.folder is not None:
            self.folder.append_log(record)
        self._save()  # after the log: what the checkpoint does not know is cut off again
        self.say(_line(record, self.config.epochs))

    # -- when it goes wrong ----------------------------------------------------------
    def _diagnosed(self, what, images, labels, random_state):
        def again():
            ops_random.set_rng_state(random_state)  # the same dropout
            self.model.zero_grad()
            self._loss(images, labels)[0].backward()

        return explain(self._where(), what, self.model, images, again, self._advice())

    def _where(self):
        at, steps = self.at, len(self.loader)
        return (
            f"step {at.epoch * steps + at.batch + 1} (epoch {at.epoch + 1}, batch {at.batch + 1} "
            f"of {steps})"
        )

    def _advice(self):
        lr = self.optimizer.param_groups[0]["lr"]
        again = (
            f"; {self.folder / 'last.npz'} is from before and whole, but going on from there "
            "would lead to the same"
            if self.folder
            else ""
        )
        return (
            f"Try a lower learning rate in a new run (--lr: it was {lr:.3g} here, "
            f"{self.config.lr:g} at its peak) or more warm-up (--warmup-epochs){again}"
        )


@contextlib.contextmanager
def _threads(number):
    """Compute with so many threads inside; 0 leaves it as it is."""
    before = kernels.get_num_threads()
    kernels.set_num_threads(number or before)
    try:
        yield
    finally:
        kernels.set_num_threads(before)


def _line(r, epochs):
    text = (
        f"epoch {r['epoch']:>{len(str(epochs))}}/{epochs}"
        f"   train: loss {r['train_loss']:.4f}, accuracy {r['train_accuracy']:7.2%}"
    )
    if r["test_accuracy"] is not None:
        text += f"   held-out: loss {r['test_loss']:.4f}, accuracy {r['test_accuracy']:7.2%}"
    return f"{text}   {r['seconds'] + r['test_seconds']:.1f} s"
