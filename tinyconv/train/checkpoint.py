"""Checkpoints: one ``.npz`` with arrays and one text, written whole or not at all.

Nothing in it is a pickle, so that a checkpoint from elsewhere can be read without running
its code. The text is JSON; where the state has an array, it says under which name it lies.
"""

import json
from pathlib import Path

import numpy as np

from tinyconv.autograd import Tensor
from tinyconv.train.errors import TrainError, reason
from tinyconv.weights import files

FORMAT = "tinyconv checkpoint 1"
_TEXT = "json"


def save_checkpoint(path, state):
    """Write a state to a file, atomically: after a crash the old file or the new one is there.

    Args:
        path: the file; its folder must exist.
        state: nested dicts (string or int keys), lists and tuples of arrays, Tensors, numbers,
            strings and None.

    Raises:
        TrainError: if it cannot be written; an older file stays as it was.

    >>> import pathlib, tempfile, numpy as np
    >>> from tinyconv.train import load_checkpoint, save_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "a.npz")
    ...     save_checkpoint(file, {"w": np.arange(3), "step": 7, "betas": (0.9, 0.99)})
    ...     load_checkpoint(file)
    {'w': array([0, 1, 2]), 'step': 7, 'betas': (0.9, 0.99)}
    """
    arrays = {}
    text = json.dumps({"format": FORMAT, "state": _pack(state, arrays, "")})
    arrays[_TEXT] = np.frombuffer(text.encode(), np.uint8)

    def write(file):
        np.savez(file, **arrays)

    write_atomically(path, write)


def load_checkpoint(path):
    """The state that ``save_checkpoint`` wrote.

    Raises:
        TrainError: if there is no such file, or it is cut, altered or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # reading checks each CRC
        content = json.loads(arrays.pop(_TEXT).tobytes())
        if content["format"] != FORMAT:
            raise TrainError(
                f"{path}: its format is {content['format']!r}, this version reads {FORMAT!r}"
            )
        return _unpack(content["state"], arrays)
    except FileNotFoundError:
        raise TrainError(f"{path}: there is no such checkpoint") from None
    except TrainError:
        raise
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({reason(error)})") from None
    except Exception as error:  # damage makes zipfile and NumPy raise anything at all
        raise TrainError(
            f"{path}: is damaged or no checkpoint of tinyconv ({_short(error)}); nothing was loaded"
        ) from None


def write_atomically(path, write):
    """Make a file by ``write(file)`` under another name, and rename it when it is on the disk.

    Raises:
        TrainError: if it cannot be written; an older file stays as it was.
    """
    path = Path(path)
    try:
        # one writer holds the folder's lock, so a fixed name does, and a crash leaves one at most
        files.write_atomically(path, write, part=f".{path.name}.part")
    except OSError as error:
        raise TrainError(
            f"{path}: cannot be written ({reason(error)})"
            + ("; the older one is whole" if path.exists() else "")
        ) from None


def _pack(value, arrays, path):
    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, np.ndarray):
        name = path.lstrip("/")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[k, _pack(v, arrays, f"{path}/{k}")] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_pack(v, arrays, f"{path}/{i}") for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, np.generic):
        return value.item()
    return value


def _unpack(value, arrays):
    if isinstance(value, list):
        return [_unpack(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(_unpack(v, arrays) for v in content)
    return {k: _unpack(v, arrays) for k, v in content}


def _short(error):
    return str(error).split("\n")[0][:100] or type(error).__name__
