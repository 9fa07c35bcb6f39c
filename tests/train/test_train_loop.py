import json
import re
import sys

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.data import ImageDataset, Subset, TensorDataset
from tinyconv.train import NonFiniteError, TrainConfig, TrainError, fit, load_checkpoint
from tinyconv.train.inputs import Inputs, check_fit
from tinyconv.train.recipe import make_optimizer, make_scheduler


def run(net, data, lines, **options):
    return fit(model=net, dataset=data, say=lines.append, **{"out": False, "epochs": 1, **options})


def test_it_learns_and_keeps_a_record(make_net, tiny_data, tmp_path, lines):
    history = run(make_net(), tiny_data, lines, out=tmp_path / "a", epochs=6, batch_size=8)
    assert history["test_accuracy"][-1] >= 0.8 and history["test_loss"][-1] < 0.8
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    logged = [json.loads(s) for s in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert logged == history.records
    best = load_checkpoint(tmp_path / "a" / "best.npz")
    assert best["records"][-1] == history.best
    assert history.seconds > 0 and history.compile_seconds >= 0
    assert sum(line.startswith("epoch") for line in lines) == 6
    for name in ("curves.png", "mistakes.png"):
        assert (tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_held_out_numbers_are_those_of_the_weights(make_net, tiny_data, lines):
    """By NumPy from the trained network's scores."""
    history = run(make_net(), tiny_data, lines, epochs=2)
    x, y = tiny_data[1].tensors
    with tc.no_grad():
        scores = history.model.eval()(x).array.astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert history["test_accuracy"][-1] == (scores.argmax(1) == y.array).mean()
    loss = -np.log(shares[np.arange(20), y.array]).mean()
    np.testing.assert_allclose(history["test_loss"][-1], loss, rtol=1e-5)


def test_without_held_out_images(make_net, tiny_data, tmp_path, lines):
    history = run(make_net(), (tiny_data[0], None), lines, out=tmp_path / "a", epochs=2)
    assert history["test_accuracy"] == [None, None]
    assert history.best["train_accuracy"] == max(history["train_accuracy"])
    assert (tmp_path / "a" / "curves.png").exists()
    assert not (tmp_path / "a" / "mistakes.png").exists()


def test_without_matplotlib(make_net, tiny_data, tmp_path, lines, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    history = run(make_net(), tiny_data, lines, out=tmp_path / "a")
    assert len(history) == 1
    assert sum("install tinyconv[plot]" in line for line in lines) == 1
    assert not (tmp_path / "a" / "curves.png").exists()


def test_augmentation_of_own_images(make_net, lines):
    images = np.zeros((12, 2, 6, 7), np.uint8)
    data = ImageDataset(images, np.arange(12) % 3, "abc")
    run(make_net(), (data, data), lines, augment="shift")
    assert data.transform is None
    with pytest.raises(TrainError, match="augment='shift' wants an ImageDataset"):
        run(make_net(), (Subset(data, range(6)), None), lines, augment="shift")


# -- rates ------------------------------------------------------------------------------
def rates(steps_per_epoch=4, **options):
    config = TrainConfig(lr=1.0, weight_decay=0, optimizer="sgd", **options)
    optimizer = make_optimizer(config, nn.Linear(2, 2).parameters())
    schedule = make_scheduler(config, optimizer, steps_per_epoch)
    found = []
    for _ in range(config.epochs * steps_per_epoch - 1):
        found.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[0]["momentum"] == config.momentum
        schedule.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_schedules_are_in_epochs():
    assert rates(schedule="none", epochs=2) == [1.0] * 8
    steps = rates(schedule="multistep", milestones=[1, 2], epochs=3)
    np.testing.assert_allclose(steps, [1.0] * 4 + [0.1] * 4 + [0.01] * 4)
    np.testing.assert_allclose(rates(schedule="step", step_epochs=2, epochs=3)[7:9], [1.0, 0.1])
    cosine = rates(schedule="cosine", epochs=2, warmup_epochs=1)
    np.testing.assert_allclose(cosine[:5], [0.25, 0.4375, 0.625, 0.8125, 1.0])
    assert cosine[-1] < 0.2
    one = rates(schedule="onecycle", epochs=10)
    assert max(one) == pytest.approx(1.0) and one.index(max(one)) == 11 and one[-1] < 1e-5
    assert rates(schedule="onecycle", epochs=10, warmup_epochs=1).index(1.0) == 3
    late = rates(schedule="multistep", milestones=[2], epochs=3, warmup_epochs=1)
    np.testing.assert_allclose(late[7:9], [1.0, 0.1])


# -- NaN ----------------------------------------------------------------------------------
class Explodes(nn.Module):
    def __init__(self, at):
        super().__init__()
        self.first = nn.Linear(84, 4)
        self.second = nn.Sequential(nn.ReLU(), nn.Linear(4, 3))
        self.at, self.step = at, 0

    def forward(self, x):
        h = self.first(x.flatten(1))
        self.step += self.training
        if self.step >= self.at:
            h = self.second[0](h) * 1e30 * 1e30
        return self.second(h)


def test_nan_loss_names_step_and_layer(tiny_data, tmp_path, lines):
    net = Explodes(at=17)
    with pytest.raises(NonFiniteError) as error:
        run(net, tiny_data, lines, out=tmp_path / "a", epochs=4, batch_size=4, optimizer="sgd")
    text = str(error.value)
    for words in (
        "step 17 (epoch 2, batch 4 of 13)", "the loss is nan", "First at fault: Explodes itself",
        "op Mul", "made", "infinite", "Try a lower learning rate", "last.npz is from before",
        "in a new run (--lr: it was", "would lead to the same",
    ):  # fmt: skip
        assert words in text
    state = load_checkpoint(tmp_path / "a" / "last.npz")
    assert state["position"]["epoch"] == 1
    assert all(np.isfinite(w).all() for w in state["weights"].values())
    history = fit(
        model=Explodes(at=10**9), dataset=tiny_data, resume=tmp_path / "a", say=lines.append
    )
    assert len(history) == 4  # the folder was not harmed


def test_nan_in_a_layer_names_it(make_net, tiny_data, lines):
    net = make_net()
    net.conv.register_forward_hook(lambda module, args, y: y.log() if net.training else y)
    with pytest.raises(NonFiniteError, match=r"First at fault: layer conv \(op Log\), which made"):
        run(net, tiny_data, lines)


def test_nan_gradient_stops_before_the_step(tiny_data, lines):
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(84, 3)

        def forward(self, x):
            return self.fc(x.flatten(1)) + (self.fc.bias * 0).sum().abs().sqrt()

    net = Root()
    before = net.fc.weight.array.copy()
    with pytest.raises(NonFiniteError, match="a gradient is NaN or infinite.*in backward"):
        run(net, tiny_data, lines)
    np.testing.assert_array_equal(net.fc.weight.array, before)


def test_a_rate_that_is_too_high(make_net, tiny_data, lines):
    with pytest.raises(NonFiniteError, match="Try a lower learning rate"):
        run(make_net(), tiny_data, lines, epochs=9, optimizer="sgd", lr=1e25, schedule="none")


def test_nan_images(make_net, tiny_data, lines):
    tiny_data[0].tensors[0].array[7, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="images of this batch hold NaN.*data$"):
        run(make_net(), tiny_data, lines)


# -- checks before the first step --------------------------------------------------------
def pairs(n=4, shape=(2, 6, 7), label=0):
    return [(tc.zeros(*shape), label) for _ in range(n)]


@pytest.mark.parametrize(
    "train, test, words",
    [
        ([], None, "training data set is empty"),
        (pairs(), [], "held-out data set is empty"),
        (pairs(label=3), None, "label 3 of training image 0 is out of range: TinyNet has 3"),
        (pairs(), pairs(label=-1), "label -1 of held-out image 0 is out of range"),
        (pairs(label=0.5), None, "labels of the training images are float64"),
        (pairs() + pairs(shape=(2, 6, 8)), None, "mixed sizes: image 0 is 2x6x7, image 4 is 2x6x8"),
        (pairs(shape=(1, 6, 7)), None, "TinyNet does not take the 1x6x7 images.*channel"),
        (pairs(shape=(2, 9, 9)), None, "TinyNet does not take the 2x9x9 images"),
        ([tc.zeros(2, 6, 7)] * 3, None, "must be a pair"),
        ([(tc.zeros(6, 7), 0)] * 3, None, "must be a pair.*shape"),
        (TensorDataset(np.zeros((3, 2, 6, 7), np.float32), np.arange(3) + 1), None, "label 3"),
    ],
)
def test_refused_data(train, test, words, make_net, tmp_path, lines):
    with pytest.raises(TrainError, match=words):
        run(make_net(), (train, test), lines, out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


class Lazy(tc.data.Dataset):
    """Samples that nobody can look at beforehand."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return tc.zeros(2, 6, 7), 3 if index == 33 else 0


def test_a_bad_label_that_comes_late(make_net, lines):
    with pytest.raises(TrainError, match="label 3 of training image"):
        run(make_net(), (Lazy(), None), lines)


def test_network_that_does_not_classify(tiny_data, lines):
    with pytest.raises(TrainError, match=r"gives shape \[1, 2, 6, 7\] for one image"):
        run(nn.Sequential(nn.ReLU()), tiny_data, lines)


def test_a_fault_in_the_networks_own_code(tiny_data, lines):
    """It may be the image's shape or the code: both are said, the original is the cause."""

    class Faulty(nn.Module):
        def forward(self, x):
            raise ValueError("no such gate")

    with pytest.raises(TrainError, match="Faulty does not take the 2x6x7 images") as error:
        run(Faulty(), tiny_data, lines)
    place = r"or its own code has a fault \(ValueError at test_train_loop.py, line \d+\): no such"
    assert re.search(place, str(error.value))
    assert isinstance(error.value.__cause__, ValueError)
    with pytest.raises(TrainError) as error:
        run("lenet5", tiny_data, lines)
    assert "fault" not in str(error.value)


def test_more_threads_than_processors(make_net, tiny_data, lines):
    run(make_net(), tiny_data, lines, threads=1024)
    assert any(line.startswith("note: threads=1024, but there are") for line in lines)


def test_refused_arguments(make_net, tiny_data, lines):
    with pytest.raises(TrainError, match="not both"):
        fit(TrainConfig(), epochs=3)
    with pytest.raises(TrainError, match="model=None"):
        fit(TrainConfig(model=None))
    with pytest.raises(TrainError, match="dataset=None"):
        fit(TrainConfig(dataset=None))
    with pytest.raises(TrainError, match="wants a pair"):
        run(make_net(), (tiny_data[0],), lines)
    with pytest.raises(TrainError, match="lenet5: cannot be built with.*colour"):
        fit(model="lenet5", model_options={"colour": 3}, out=False)
    with pytest.raises(TrainError, match="lenet5 does not take the 2x6x7 images.*28x28"):
        run("lenet5", tiny_data, lines)


def test_modes_and_statistics_survive_the_checks(make_net, tiny_data):
    net = make_net()
    net.bn.eval()
    check_fit(net, "net", Inputs(*tiny_data))
    assert net.training and net.conv.training and not net.bn.training
    assert not net.bn.running_mean.array.any()
