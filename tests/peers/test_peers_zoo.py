"""The networks against the public definitions: torchvision's and timm's, from their weights.

Skipped unless these are installed. They are built with numbers of their own, whose state is loaded
here under their names; so the table of names is tested with it.
"""

import importlib
import importlib.util
import sys
import types

import numpy as np
import pytest

import tinyconv as tc
from tinyconv import models, weights

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

#: library, its name, ours, options there, options here, images
CASES = [
    ("torchvision", "alexnet", "alexnet", {}, {}, (2, 3, 67, 71)),
    ("torchvision", "vgg11", "vgg11", {}, {}, (2, 3, 33, 37)),
    ("torchvision", "vgg16_bn", "vgg16_bn", {}, {}, (2, 3, 33, 37)),
    ("torchvision", "googlenet", "googlenet", {"init_weights": False}, {}, (2, 3, 65, 50)),
    ("torchvision", "inception_v3", "inception_v3", {"init_weights": False}, {}, (2, 3, 299, 301)),
    ("torchvision", "resnet18", "resnet18", {}, {}, (2, 3, 65, 71)),
    ("torchvision", "resnet50", "resnet50", {}, {}, (2, 3, 65, 71)),
    ("torchvision", "squeezenet1_0", "squeezenet1_0", {}, {}, (2, 3, 65, 71)),
    ("torchvision", "squeezenet1_1", "squeezenet1_1", {}, {}, (2, 3, 65, 71)),
    ("torchvision", "densenet121", "densenet121", {}, {}, (2, 3, 65, 71)),
    ("torchvision", "densenet161", "densenet161", {}, {}, (2, 3, 65, 71)),
    ("timm", "vgg11_bn", "vgg11_bn", {}, {}, (2, 3, 224, 224)),
    ("timm", "inception_v3", "inception_v3", {}, {"aux_logits": False}, (4, 3, 91, 107)),
    ("timm", "inception_v4", "inception_v4", {}, {}, (4, 3, 107, 123)),
    ("timm", "inception_resnet_v2", "inception_resnet_v2", {}, {}, (4, 3, 107, 123)),
    ("timm", "legacy_xception", "xception", {}, {"eps": 1e-5}, (2, 3, 75, 91)),
    ("timm", "resnet34", "resnet34", {}, {}, (2, 3, 65, 71)),
    ("timm", "resnetv2_50", "preact_resnet50", {}, {}, (2, 3, 65, 71)),
    ("timm", "mobilenetv1_100", "mobilenet_v1", {}, {"relu6": True}, (2, 3, 65, 71)),
]


def library(name):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "torchvision":
        # its compiled ops may be built for another PyTorch; the networks need none of them
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError:
            for module in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
                del sys.modules[module]
            blank = "torchvision._meta_registrations"
            sys.modules[blank] = types.ModuleType(blank)
            return importlib.import_module("torchvision.models")
    library("torchvision")  # timm imports it
    return importlib.import_module("timm")


def build(where, name, options):
    if where == "torchvision":
        return getattr(library(where), name)(weights=None, **options)
    return library(where).create_model(name, **options)


def randomised(net):
    """Numbers that neither fade away nor hide a forgotten statistic."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for path, tensor in net.state_dict().items():
            if tensor.ndim > 1:
                deviation = (2 / tensor[0].numel()) ** 0.5
                tensor.normal_(0, deviation, generator=generator)
            elif path.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
            elif tensor.is_floating_point() and not path.endswith(".weight"):
                tensor.normal_(0, 0.1, generator=generator)
    return net


def without_dropout(net):
    for module in net.modules():
        for attribute in ("p", "dropout", "drop_rate"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)
        if isinstance(getattr(module, "dropout", None), torch.nn.Dropout):
            module.dropout.p = 0.0
    return net


def close(actual, wanted, tolerance, least=0.0):
    scale = max(np.abs(wanted).max(), least)
    assert np.abs(actual - wanted).max() <= tolerance * scale


@pytest.mark.parametrize("where, theirs, ours, their_options, our_options, shape", CASES)
def test_public_definitions(where, theirs, ours, their_options, our_options, shape):
    peer = without_dropout(randomised(build(where, theirs, their_options)).double())
    with tc.nn.init.skip_init():
        net = models.get_model(ours, **our_options).double()
    state = {name: t.numpy() for name, t in peer.state_dict().items()}
    if list(net.state_dict()) == list(state):
        net.load_state_dict(state)
    else:
        assert where == "timm"
        weights.load_into(net, state)
    without_dropout(net)
    x = np.random.default_rng(2).standard_normal(shape)

    def run():
        y, z = net(tc.from_numpy(x)), peer(torch.from_numpy(x))
        ys, zs = (v if isinstance(v, tuple) else (v,) for v in (y, z))
        assert len(ys) == len(zs)
        for a, b in zip(ys, zs):
            close(a.detach().numpy(), b.detach().numpy(), 1e-9)
        return ys, zs

    net.eval(), peer.eval()
    with tc.no_grad(), torch.no_grad():
        run()
    net.train(), peer.train()
    ys, zs = run()
    rng = np.random.default_rng(3)
    gys = [rng.standard_normal(y.shape) for y in ys]
    sum((y * tc.from_numpy(g)).sum() for y, g in zip(ys, gys)).backward()
    sum((z * torch.from_numpy(g)).sum() for z, g in zip(zs, gys)).backward()
    grads = {name: p.grad.numpy() for name, p in net.named_parameters()}
    wanted = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    if set(grads) != set(wanted):
        source = weights.names.source_of(state)
        wanted = {source.rename(name): g for name, g in wanted.items()}
    largest = max(np.abs(g).max() for g in wanted.values())
    for name, g in grads.items():
        close(g, wanted[name].reshape(g.shape), 1e-9, 1e-3 * largest)
