"""Training: the loop, checkpoints that continue bit for bit, run folders, predictions."""

from tinyconv.train.checkpoint import load_checkpoint, save_checkpoint
from tinyconv.train.config import TrainConfig
from tinyconv.train.errors import NonFiniteError, TrainError
from tinyconv.train.folder import RunFolder, read_config
from tinyconv.train.history import History
from tinyconv.train.loop import Trainer
from tinyconv.train.predict import Prediction, classify, load_model, predict
from tinyconv.train.run import fit

__all__ = [
    "History",
    "NonFiniteError",
    "Prediction",
    "RunFolder",
    "TrainConfig",
    "TrainError",
    "Trainer",
    "classify",
    "fit",
    "load_checkpoint",
    "load_model",
    "predict",
    "read_config",
    "save_checkpoint",
]
