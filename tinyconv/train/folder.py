"""The run folder: who may write into it, and what lies where.

config.json     the settings
log.jsonl       one JSON line for each epoch
last.npz        where to go on from
best.npz        the weights with the best held-out accuracy
curves.png      loss and accuracy over the epochs
mistakes.png    the hardest of the held-out images
"""

import contextlib
import itertools
import json
import os
from pathlib import Path

from tinyconv.train.checkpoint import load_checkpoint, save_checkpoint, write_atomically
from tinyconv.train.config import TrainConfig
from tinyconv.train.errors import TrainError, reason

FILES = ("config.json", "log.jsonl", "last.npz", "best.npz", "curves.png", "mistakes.png")
_LOCK = ".lock"


class RunFolder:
    """A folder that one process at a time may write a run into. Use it in a ``with`` block.

    Args:
        path: the folder; made if needed.
        resume: whether it must hold a run (True) or must not (False).

    Raises:
        TrainError: if it holds a run already, or none, or another process writes there, or
            it cannot be written.
    """

    def __init__(self, path, resume=False):
        self.path = Path(path)
        is_file = os.path.isfile(path)  # which, unlike Path's, never raises
        if resume and is_file:
            raise TrainError(
                f"{path}: is a file; a run is resumed by its folder: --resume {self.path.parent}"
            )
        if resume and not os.path.exists(path):
            raise TrainError(f"{path}: the folder does not exist, so there is no run to resume")
        if is_file:
            raise TrainError(f"{path}: is a file, not a folder")
        if resume and not (self.path / "config.json").is_file():
            raise TrainError(f"{path}: holds no run (no config.json), so there is none to resume")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
        except OSError as error:
            raise TrainError(f"{path}: cannot write the run there ({reason(error)})") from None
        held = [name for name in FILES if (self.path / name).exists()]
        if held and not resume:
            self.close()
            raise TrainError(
                f"{path}: holds a run already ({', '.join(held)}); nothing was touched. "
                f"Go on with it by --resume {path}, or give another folder"
            )

    @classmethod
    def new(cls, stem, parent="runs"):
        """The next free folder ``<parent>/<stem>-<n>``; two processes never get the same."""
        parent = Path(parent)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for n in itertools.count(1):
                try:
                    os.mkdir(parent / f"{stem}-{n}")
                except FileExistsError:
                    continue
                return cls(parent / f"{stem}-{n}")
        except OSError as error:
            raise TrainError(f"{parent}: cannot write a run there ({reason(error)})") from None

    def close(self):
        """Let others in; a folder in which nothing was written is taken away again."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            if os.listdir(self.path) == [_LOCK]:
                os.unlink(self / _LOCK)
                os.rmdir(self.path)
        self._lock.close()
        self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __truediv__(self, name):
        return self.path / name

    def __str__(self):
        return str(self.path)

    # -- what is written and read ------------------------------------------------------
    def write_config(self, config):
        """Write ``config.json``."""
        text = config.to_json().encode()
        write_atomically(self / "config.json", lambda file: file.write(text))

    def read_config(self):
        """The settings of the run that is here."""
        return read_config(self.path)

    def append_log(self, record):
        """Add an epoch's line to ``log.jsonl``, and wait until it is on the disk."""
        try:
            with open(self / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TrainError(f"{self / 'log.jsonl'}: cannot be written ({reason(error)})") from None

    def rewrite_log(self, records):
        """Cut ``log.jsonl`` back to these epochs: those that the checkpoint knows."""
        text = "".join(json.dumps(r) + "\n" for r in records).encode()
        write_atomically(self / "log.jsonl", lambda file: file.write(text))

    def save(self, name, state):
        """Write the checkpoint ``name``."""
        save_checkpoint(self / name, state)

    def check_resumable(self):
        """Raise ``TrainError`` if ``last.npz`` is gone from a run that has been somewhere."""
        log, kept = self / "log.jsonl", []
        if (self / "last.npz").exists():
            return
        if log.exists() and (lines := log.read_bytes().count(b"\n")):
            kept.append(f"log.jsonl has {lines} epoch{'s' * (lines > 1)}")
        if (self / "best.npz").exists():
            kept.append("best.npz holds weights")
        if kept:
            raise TrainError(
                f"{self}: its last.npz is missing, so the run cannot go on, but "
                f"{' and '.join(kept)}: nothing was touched; begin a new run in another folder"
            )

    def load(self, name):
        """The checkpoint ``name``, or None if there is none yet."""
        return load_checkpoint(self / name) if (self / name).exists() else None


def read_config(path):
    """The ``TrainConfig`` of the run in a folder.

    Raises:
        TrainError: if there is none, or it is damaged.
    """
    file = Path(path) / "config.json"
    try:
        return TrainConfig.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainError(f"{path}: holds no run (no config.json)") from None
    except (OSError, UnicodeError) as error:
        raise TrainError(f"{file}: cannot be read ({reason(error)})") from None
    except TrainError as error:
        raise TrainError(f"{file}: is damaged: {error}") from None


def _locked(folder):
    """The open lock file; the system frees the lock when the process ends, however it ends."""
    try:
        import fcntl  # POSIX only
    except ImportError:
        return open(folder / _LOCK, "a")
    while True:
        file = open(folder / _LOCK, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(folder / _LOCK)):
                return file
        except FileNotFoundError:
            pass  # its holder took it away just now: once more
        except BlockingIOError:
            file.close()
            raise TrainError(
                f"{folder}: another run is writing there now; nothing was touched. Wait for it, "
                "or give another folder"
            ) from None
        file.close()
