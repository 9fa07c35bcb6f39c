"""History: what happened in a run, epoch by epoch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: what an epoch's record says besides its number
FIELDS = {
    "train_loss": "mean cross entropy of the training images when they came, nats",
    "train_accuracy": "share of the training images that were right when they came, 0 to 1",
    "test_loss": "mean cross entropy over the held-out images, nats",
    "test_accuracy": "share of the held-out images that are right, 0 to 1",
    "lr": "learning rate of the epoch's last step",
    "seconds": "time of the training steps, without compiling",
    "test_seconds": "time of the held-out images, without compiling",
    "compile_seconds": "time that compiling kernels took meanwhile",
}


@dataclass
class History:
    """The epochs of a run as records; ``history["test_accuracy"]`` is one column of them.

    Attributes:
        records: a dict for each epoch, as in ``log.jsonl``: ``epoch`` and the ``FIELDS``.
        folder: the run folder (Path), or None if nothing was written.
        interrupted: True if Ctrl-C or SIGTERM ended the run early.
        compile_seconds: compile time of this call, the checks before the first step included.
        model: the network with the weights of the last step.

    >>> from tinyconv.train import History
    >>> h = History([{"epoch": 1, "test_accuracy": 0.5}, {"epoch": 2, "test_accuracy": 0.9}])
    >>> h["test_accuracy"], h.best["epoch"], len(h)
    ([0.5, 0.9], 2, 2)
    """

    records: list = field(default_factory=list)
    folder: Path | None = None
    interrupted: bool = False
    compile_seconds: float = 0.0
    model: Any = field(default=None, repr=False)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, name):
        """One value of all epochs, as a list."""
        return [record.get(name) for record in self.records]

    @property
    def best(self):
        """The record of the epoch with the best held-out accuracy, or None before the first."""
        return max(self.records, key=merit, default=None)

    @property
    def seconds(self):
        """Time of all training steps, without compiling and without the held-out images."""
        return sum(self["seconds"])


def merit(record):
    """What is compared for the best: accuracy, then loss, held-out where there is such data."""
    half = "test" if record.get("test_accuracy") is not None else "train"
    return record[f"{half}_accuracy"], -record.get(f"{half}_loss", 0.0)
