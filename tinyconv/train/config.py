"""TrainConfig: everything that fixes a run, checked once, written beside its results."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from tinyconv import data
from tinyconv.models.registry import spelled
from tinyconv.names import nearest_or
from tinyconv.train.errors import TrainError, pick

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("onecycle", "cosine", "multistep", "step", "none")
AUGMENTATIONS = ("auto", "none", "shift", "crop+flip")

#: what suits each optimiser where the user gives no rate
_USUAL_RATE = {"sgd": 0.05, "adam": 4e-3, "adamw": 4e-3, "rmsprop": 1e-3}
_USUAL_DECAY = {"sgd": 5e-4, "adamw": 1e-2}
#: digits and clothes stand upright; only photographs may be mirrored
_USUAL_AUGMENTATION = {"digits": "shift", "mnist": "shift", "cifar10": "crop+flip"}
#: option -> (the setting that decides whether it is looked at, its values that do)
_USED_BY = {
    "momentum": ("optimizer", ("sgd", "rmsprop")),
    "milestones": ("schedule", ("multistep",)),
    "step_epochs": ("schedule", ("step",)),
    "gamma": ("schedule", ("step", "multistep")),
}


def _option(default, text, least=None, most=None, above=None, below=None):
    """A field with its help text and the range that it must lie in."""
    about = {"help": text, "least": least, "most": most, "above": above, "below": below}
    if isinstance(default, (dict, list)):
        return field(default_factory=default.copy, metadata=about)
    return field(default=default, metadata=about)


def model_name(word):
    """The network's name or alias, rightly spelled; what is unknown is a ``TrainError``."""
    try:
        return spelled(word)
    except ValueError as error:
        raise TrainError(str(error)) from None


@dataclass
class TrainConfig:
    """The settings of a run. The fields' own texts (``tinyconv train --help``) explain each.

    ``model`` and ``dataset`` are None where the network or the data are the caller's own.

    Two runs with equal settings and data give equal weights, bit for bit; ``workers``,
    ``threads`` and ``save_seconds`` change nothing but the time.

    Raises:
        TrainError: for a value out of range or an unknown name, with the nearest right ones.

    >>> from tinyconv.train import TrainConfig
    >>> config = TrainConfig(model="LeNet5", optimizer="sgd")
    >>> config.model, config.lr, TrainConfig.from_json(config.to_json()) == config
    ('lenet5', 0.05, True)
    """

    model: str | None = _option("inception_small", "network, see `tinyconv models`")
    model_options: dict[str, Any] = _option(
        {}, "further options of the network, as name=value; channels and classes are the data's"
    )
    dataset: str | None = _option("digits", "one of " + ", ".join(data.available()))
    data_root: str | None = _option(None, "folder that holds the data set's files")
    epochs: int = _option(8, "passes over the training images", 1)
    batch_size: int = _option(64, "images in a step", 1)
    optimizer: str = _option("adamw", "one of " + ", ".join(OPTIMIZERS))
    lr: float | None = _option(
        None, "learning rate (the peak); default: the optimiser's usual", above=0
    )
    momentum: float = _option(0.9, "of sgd (Nesterov's) and rmsprop", 0, below=1)
    weight_decay: float | None = _option(
        None, "pull of the weights towards 0; default: the optimiser's usual", 0
    )
    schedule: str = _option("onecycle", "of the rate: one of " + ", ".join(SCHEDULES))
    warmup_epochs: float = _option(
        0.0, "epochs in which the rate rises; 0 means three tenths of all for onecycle", 0
    )
    milestones: list[int] = _option([], "epochs after which multistep lowers the rate")
    step_epochs: int = _option(30, "epochs after which step lowers the rate, again and again", 1)
    gamma: float = _option(0.1, "what step and multistep multiply the rate by", 0, 1)
    label_smoothing: float = _option(0.1, "share of each label spread over all classes", 0, below=1)
    augment: str = _option(
        "auto", "one of " + ", ".join(AUGMENTATIONS) + "; auto is what suits the data set"
    )
    seed: int = _option(0, "fixes all that is random", 0, 2**63 - 1)
    workers: int = _option(1, "background threads that prepare batches", 0, 64)
    threads: int = _option(0, "threads that compute; 0 means all processors", 0, 1024)
    save_seconds: float = _option(
        60.0, "save within an epoch after so many seconds, against crashes", 0
    )

    def __post_init__(self):
        for f in dataclasses.fields(self):
            setattr(self, f.name, _checked(f, getattr(self, f.name)))
        if self.model is not None:
            self.model = model_name(self.model)
        if self.dataset is not None:
            self.dataset = pick("data set", self.dataset, data.available())
        self.optimizer = pick("optimizer", self.optimizer, OPTIMIZERS)
        self.schedule = pick("schedule", self.schedule, SCHEDULES)
        self.augment = pick("augment", self.augment, AUGMENTATIONS)
        if self.lr is None:
            self.lr = _USUAL_RATE[self.optimizer]
        if self.weight_decay is None:
            self.weight_decay = _USUAL_DECAY.get(self.optimizer, 0.0)
        if self.augment == "auto":
            self.augment = _USUAL_AUGMENTATION.get(self.dataset, "none")
        if self.warmup_epochs > self.epochs:
            raise TrainError(
                f"warmup_epochs={self.warmup_epochs:g} is longer than the run, epochs={self.epochs}"
            )
        if self.schedule == "multistep" and not self.milestones:
            raise TrainError("schedule 'multistep' wants milestones: the epochs to lower the rate")
        if any(m < 1 for m in self.milestones):
            raise TrainError(f"milestones={self.milestones} must be whole epochs from 1 on")

    @classmethod
    def make(cls, **options):
        """A config from options that someone chose.

        Raises:
            TrainError: as the class does, and for options that are unknown or without effect.
        """
        config = cls._of_known(options)
        for name, value in options.items():
            config._refuse_idle(name, value)
        return config

    def _refuse_idle(self, name, value):
        """Raise ``TrainError`` for a choice that these settings never look at."""
        other, used = _USED_BY.get(name, (None, ()))
        if other is not None and getattr(self, other) not in used:
            raise TrainError(
                f"{name}={value!r} has no effect with {other} {getattr(self, other)!r}: it is used "
                f"by {' and '.join(used)}"
            )
        if name == "milestones" and value and max(value) >= self.epochs:
            raise TrainError(
                f"milestones={value!r} must lie below epochs={self.epochs}: after the last epoch "
                "there is no rate to lower"
            )
        if name == "data_root" and value is not None and self.dataset == "digits":
            raise TrainError("data_root has no effect with 'digits', which come with tinyconv")

    @classmethod
    def _of_known(cls, options):
        known = [f.name for f in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise TrainError(
                    f"unknown option {name!r}; "
                    + nearest_or(name, known, f"There are: {', '.join(known)}")
                )
        return cls(**options)

    def to_json(self):
        """The text that goes into ``config.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """The config that ``to_json`` wrote.

        Raises:
            TrainError: for a text that is not one.
        """
        try:
            options = json.loads(text)
        except ValueError as error:
            raise TrainError(f"it is no JSON text ({error})") from None
        if not isinstance(options, dict):
            raise TrainError("it holds no settings")
        return cls._of_known(options)


def _checked(f, value):
    """``value`` in the field's type and range."""
    name, about = f.name, f.metadata
    kind = f.type.__name__ if isinstance(f.type, type) else str(f.type)
    if value is None and "None" in kind:
        return None
    if "str" in kind.split("[")[0]:
        if not isinstance(value, (str, bytes)) and not hasattr(value, "__fspath__"):
            raise TrainError(f"{name}={value!r} must be a text")
        return str(value)
    if kind.startswith("dict"):
        if not isinstance(value, dict):
            raise TrainError(f"{name}={value!r} must be a dict of names and values")
        return dict(value)
    if kind.startswith("list"):
        if not isinstance(value, (list, tuple)) or not all(map(_is_whole, value)):
            raise TrainError(f"{name}={value!r} must be a list of whole numbers")
        return sorted(int(v) for v in value)
    if kind == "int" and not _is_whole(value):
        raise TrainError(f"{name}={value!r} must be a whole number")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TrainError(f"{name}={value!r} must be a finite number")
    least, most, above, below = (about[k] for k in ("least", "most", "above", "below"))
    if above is not None and value <= above:
        raise TrainError(f"{name}={value!r} must be above {above}")
    if below is not None and not least <= value < below:
        raise TrainError(f"{name}={value!r} must be from {least} to below {below}")
    if (least is not None and value < least) or (most is not None and value > most):
        within = f"at least {least}" if most is None else f"from {least} to {most}"
        raise TrainError(f"{name}={value!r} must be {within}")
    return int(value) if kind == "int" else float(value)


def _is_whole(value):
    return hasattr(value, "__index__") and not isinstance(value, bool)
