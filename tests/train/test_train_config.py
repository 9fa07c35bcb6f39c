import dataclasses

import pytest

from tinyconv.train import TrainConfig, TrainError


def test_json_round_trip():
    config = TrainConfig(
        model="cifar-resnet20-a", model_options={"num_classes": 7}, dataset="CIFAR10",
        schedule="multistep", milestones=[5, 3], lr=0.1, optimizer="SGD", warmup_epochs=0.5,
    )  # fmt: skip
    again = TrainConfig.from_json(config.to_json())
    assert again == config
    assert (again.model, again.dataset, again.optimizer) == ("cifar_resnet20_A", "cifar10", "sgd")
    assert again.milestones == [3, 5] and again.augment == "crop+flip"


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(model="lenet_5x"), ["unknown model 'lenet_5x'", "did you mean 'lenet5'"]),
        (dict(model="incepton-small"), ["did you mean 'inception_small'"]),
        (dict(dataset="fashion"), ["unknown data set 'fashion'", "'fashion_mnist'"]),
        (dict(optimizer="adamm"), ["unknown optimizer", "'adam'"]),
        (dict(schedule="cosin"), ["unknown schedule", "'cosine'"]),
        (dict(augment="shfit"), ["unknown augment", "'shift'"]),
        (dict(epochs=0), ["epochs=0 must be at least 1"]),
        (dict(epochs=2.5), ["epochs=2.5 must be a whole number"]),
        (dict(epochs=True), ["epochs=True must be a whole number"]),
        (dict(lr=float("nan")), ["lr=nan must be a finite number"]),
        (dict(lr="fast"), ["lr='fast'"]),
        (dict(momentum=1.5), ["momentum=1.5 must be from 0 to below 1"]),
        (dict(lr=0), ["lr=0 must be above 0"]),
        (dict(label_smoothing=1), ["label_smoothing=1 must be from 0 to below 1"]),
        (dict(momentum=0.5), ["momentum=0.5 has no effect", "'adamw'", "sgd and rmsprop"]),
        (dict(optimizer="Adam", momentum=0.9), ["no effect with optimizer 'adam'"]),
        (dict(milestones=[2]), ["no effect with schedule 'onecycle'", "used by multistep"]),
        (dict(gamma=0.5), ["gamma=0.5 has no effect", "step and multistep"]),
        (dict(step_epochs=3), ["step_epochs=3 has no effect", "used by step"]),
        (dict(schedule="multistep", milestones=[2, 8]), ["must lie below epochs=8"]),
        (dict(data_root="folder"), ["data_root has no effect with 'digits'"]),
        (dict(label_smoothing=-0.1), ["label_smoothing=-0.1"]),
        (dict(schedule="multistep"), ["milestones"]),
        (dict(milestones=[0, 3]), ["milestones"]),
        (dict(milestones=3), ["list of whole numbers"]),
        (dict(warmup_epochs=9, epochs=8), ["warmup_epochs=9"]),
        (dict(model_options=["a"]), ["model_options"]),
        (dict(bathc_size=3), ["unknown option 'bathc_size'", "did you mean 'batch_size'"]),
    ],
)
def test_refusals(options, words):
    with pytest.raises(TrainError) as error:
        TrainConfig.make(**options)
    for word in words:
        assert word in str(error.value)


def test_only_choices_can_be_idle():
    """Defaults are no contradiction, nor what an older config.json holds."""
    for options in (dict(optimizer="adam"), dict(schedule="none"), dict(dataset="digits")):
        assert TrainConfig.make(**options).momentum == 0.9
    chosen = TrainConfig.make(schedule="step", gamma=0.5, step_epochs=2)
    assert (chosen.gamma, chosen.step_epochs) == (0.5, 2)
    assert TrainConfig.make(schedule="multistep", milestones=[7]).milestones == [7]
    assert TrainConfig.from_json('{"optimizer": "adam", "momentum": 0.5}').momentum == 0.5


@pytest.mark.parametrize("text", ["", "[1]", '{"epoch": 3}', '{"epochs": "many"}', "null"])
def test_damaged_json(text):
    with pytest.raises(TrainError):
        TrainConfig.from_json(text)


def test_usual_values_are_written_out():
    """config.json says what ran, also where a later version has other defaults."""
    for config in (TrainConfig(), TrainConfig(optimizer="sgd"), TrainConfig(dataset="mnist")):
        values = dataclasses.asdict(config)
        assert values["lr"] > 0 and values["weight_decay"] is not None
        assert values["augment"] == "shift"
