"""Networks with auxiliary classifiers: their losses count with the network's ``aux_weight``."""

import pytest

import tinyconv as tc
from tinyconv import nn
from tinyconv.nn import functional as F
from tinyconv.train import TrainConfig, Trainer, TrainError, fit
from tinyconv.train.inputs import Inputs


class TwoHeads(nn.Module):
    aux_weight = 0.25

    def __init__(self):
        super().__init__()
        self.body, self.head, self.side = nn.Linear(6, 5), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x):
        x = F.relu(self.body(x.flatten(1)))
        if self.training:
            return self.head(x), self.side(x)
        return self.head(x)


IMAGES = [(tc.full((1, 2, 3), i % 3 - 1.0), i % 3) for i in range(24)]


def test_the_loss_is_weighed():
    tc.manual_seed(0)
    net = TwoHeads()
    config = TrainConfig(model=None, dataset=None, epochs=1, batch_size=8, label_smoothing=0.1)
    trainer = Trainer(config, net, Inputs(IMAGES, None), say=lambda line: None)
    images, labels = tc.randn(4, 1, 2, 3), tc.tensor([0, 1, 2, 1])
    loss, scores = trainer._loss(images, labels)
    head, side = net(images)
    by_hand = [F.cross_entropy(y, labels, label_smoothing=0.1).item() for y in (head, side)]
    assert loss.item() == pytest.approx(by_hand[0] + 0.25 * by_hand[1], rel=1e-6)
    assert tc.equal(scores, head)
    loss.backward()
    assert net.side.weight.grad.any()


def test_it_trains_and_tests():
    tc.manual_seed(0)
    history = fit(
        model=TwoHeads(), dataset=(IMAGES, IMAGES), out=False, say=lambda line: None, epochs=4,
        batch_size=8, lr=0.1,
    )  # fmt: skip
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert 0 <= history["test_accuracy"][-1] <= 1


def test_a_tuple_without_a_weight_is_refused():
    class Untold(TwoHeads):
        aux_weight = None

    with pytest.raises(TrainError, match="Untold returns a tuple in training.*aux_weight"):
        fit(model=Untold(), dataset=(IMAGES, None), out=False, say=lambda line: None, epochs=1)
