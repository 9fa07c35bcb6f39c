"""Whole training steps against the same network in PyTorch, from the same weights."""

import numpy as np

import tinyconv as tc
from benchmarks.timing import interleaved, peer, ratio, table
from benchmarks.twin import twin

#: model, input shape
NETS = [
    ("lenet5", (64, 1, 28, 28)),
    ("inception_small", (64, 1, 28, 28)),
    ("cifar_resnet20_A", (128, 3, 32, 32)),
]


def _step(net, optimizer, loss_of, x, labels):
    def step():
        optimizer.zero_grad()
        loss = loss_of(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def run(rounds=9):
    """Print milliseconds per step; returns rows as dicts."""
    torch = peer()
    rng = np.random.default_rng(0)
    results = []
    for name, shape in NETS:
        tc.manual_seed(0)
        net = tc.models.get_model(name, in_channels=shape[1])
        x = rng.standard_normal(shape).astype(np.float32)
        labels = rng.integers(0, 10, shape[0])
        sgd = tc.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        loss_of = tc.nn.functional.cross_entropy
        contestants = [_step(net, sgd, loss_of, tc.from_numpy(x), tc.from_numpy(labels))]
        if torch is not None:
            for memory_format in (torch.contiguous_format, torch.channels_last):
                other = twin(torch, net).to(memory_format=memory_format)
                optimizer = torch.optim.SGD(other.parameters(), lr=0.01, momentum=0.9)
                X = torch.from_numpy(x).to(memory_format=memory_format)
                Y = torch.from_numpy(labels)
                contestants.append(_step(other, optimizer, torch.nn.functional.cross_entropy, X, Y))
            losses = [step() for step in contestants]
            np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
        seconds, *others = interleaved(contestants, rounds)
        results.append(
            dict(
                net=name, batch=shape[0], milliseconds=seconds * 1e3,
                torch_milliseconds=[t * 1e3 for t in others],
            )
        )  # fmt: skip
    table(
        "training step: PyTorch's better format / ours; above 1 we are faster",
        ("net", "batch", "ms", "images/s", "ratio"),
        [
            (
                r["net"], r["batch"], f"{r['milliseconds']:.1f}",
                f"{r['batch'] / r['milliseconds'] * 1e3:.0f}",
                ratio(min(r["torch_milliseconds"], default=None), r["milliseconds"]),
            )
            for r in results
        ],
    )  # fmt: skip
    return results
