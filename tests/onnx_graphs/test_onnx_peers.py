"""Files that PyTorch wrote, loaded: logits, and gradients where it keeps the parameters' names."""

import io
import warnings

import pytest
from onnx_graphs.running import close, exported, numbers

import tinyconv as tc
from benchmarks import twin
from tinyconv.onnx import load

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

F = torch.nn.functional


def written(net, x, **options):
    """By the exporter that needs nothing but PyTorch."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.from_numpy(x),), file, dynamo=False, **options)
    return file.getvalue()


class Everything(torch.nn.Module):
    """What small networks are made of."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.grouped = torch.nn.Conv2d(8, 8, 3, padding=(1, 2), dilation=2, groups=4, bias=False)
        self.prelu = torch.nn.PReLU(8)
        self.scale = torch.nn.Parameter(torch.rand(8, 1, 1))
        self.fc = torch.nn.Linear(72, 7)

    def forward(self, x):
        x = F.relu6(self.norm(self.conv(x)))
        x = self.prelu(F.leaky_relu(self.grouped(x), 0.2) * self.scale)
        x = F.elu(x) + torch.sigmoid(x) * torch.tanh(x)
        x = F.avg_pool2d(F.pad(x, (1, 0, 2, 1)), 3, 2, 1, True, False)
        x = torch.cat([x[:, ::2], x[:, 1::2]], 1)
        x = F.dropout(F.max_pool2d(x, 2, 1)[:, :, :3, :3], 0.5, self.training)
        x = self.fc(x.reshape(x.shape[0], -1))
        x = F.gelu(F.softplus(x)).mean(1, keepdim=True) + F.hardswish(x)
        return F.log_softmax(x, 1)


@pytest.mark.parametrize("opset", [11, 13, 17, 20])
@pytest.mark.parametrize("dynamic", [None, {"input": {0: "batch"}}])
def test_what_small_networks_are_made_of(opset, dynamic):
    torch.manual_seed(0)
    net, x = Everything().eval(), numbers((2, 3, 19, 17))
    data = written(net, x, opset_version=opset, input_names=["input"], dynamic_axes=dynamic)
    loaded = load(data)
    if dynamic:
        x = numbers((3, 3, 19, 17), 4)
    with torch.no_grad():
        theirs = net(torch.from_numpy(x)).numpy()
    close(loaded(tc.from_numpy(x)).detach().numpy(), theirs)


NETWORKS = {
    "lenet5_28pad2": (1, 28, 28), "resnet18": (3, 40, 33), "googlenet_torchvision": (3, 64, 67),
    "squeezenet1_1": (3, 48, 51), "mobilenet_v1_0_25": (3, 40, 33),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_zoo_that_pytorch_wrote(name):
    """The same text under PyTorch, with the weights of ours."""
    ours = tc.models.get_model(name).eval()
    theirs = twin.get_model(name, torch).eval()
    twin.copy_weights(torch, ours, theirs)
    x = numbers((2, *NETWORKS[name]))
    loaded = load(written(theirs, x, opset_version=17))
    with torch.no_grad():
        y = theirs(torch.from_numpy(x)).numpy()
    close(loaded(tc.from_numpy(x)).detach().numpy(), y)
    close(load(exported(ours, x))(tc.from_numpy(x)).detach().numpy(), y)
