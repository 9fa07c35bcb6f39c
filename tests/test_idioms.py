"""Small programs as scripts for PyTorch write them: each must run as it stands.

They run under tinyconv, and under PyTorch itself where it is installed, which proves that they are
PyTorch's way; they assert what must hold in both.
"""

import copy
import importlib
import math
from collections import OrderedDict, defaultdict

import numpy as np
import pytest


class Library:
    def __init__(self, name):
        self.torch = pytest.importorskip(name)
        self.nn = importlib.import_module(f"{name}.nn")
        self.F = importlib.import_module(f"{name}.nn.functional")
        self.optim = importlib.import_module(f"{name}.optim")
        self.data = importlib.import_module(f"{name}.utils.data")
        self.torch.manual_seed(0)


@pytest.fixture(params=["tinyconv", "torch"])
def lib(request):
    return Library(request.param)


def make_net(nn, classes=4):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 4 * 4, classes),
    )  # fmt: skip


def make_set(torch, n=24):
    x = torch.randn(n, 3, 8, 8)
    y = (x.mean(dim=(1, 2, 3)) > 0).long()
    return x + y.view(-1, 1, 1, 1).float(), y


# -- training -----------------------------------------------------------------------------------
def test_train_test_checkpoint_and_resume(lib, tmp_path):
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    dataset = lib.data.TensorDataset(*make_set(torch))
    loader = lib.data.DataLoader(dataset, batch_size=8, shuffle=True, num_workers=0)
    net = make_net(nn, 2).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    best_acc = 0
    for epoch in range(6):
        net.train()
        train_loss, correct, total = 0, 0, 0
        for inputs, targets in loader:
            inputs, targets = inputs.to(device), targets.to(device, non_blocking=True)
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, targets)
            loss.backward()
            optimizer.step()
            train_loss += loss.item()
            _, predicted = outputs.max(1)
            total += targets.size(0)
            correct += predicted.eq(targets).sum().item()
        net.eval()
        with torch.no_grad():
            hits = sum((torch.max(net(x), 1)[1] == y).sum().item() for x, y in loader)
        acc = 100.0 * hits / total
        if acc > best_acc:
            state = {"net": net.state_dict(), "acc": acc, "epoch": epoch}
            torch.save(state, tmp_path / "ckpt.pth")
            best_acc = acc
        scheduler.step()
    assert best_acc > 90 and train_loss < 3 * 0.7
    checkpoint = torch.load(tmp_path / "ckpt.pth", map_location=device)
    net.load_state_dict(checkpoint["net"])
    assert checkpoint["acc"] == best_acc and checkpoint["epoch"] >= 0


def test_the_mnist_example(lib):
    torch, nn, F = lib.torch, lib.nn, lib.F

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3, 1)
            self.conv2 = nn.Conv2d(4, 8, 3, 1)
            self.dropout1 = nn.Dropout2d(0.25)
            self.fc1 = nn.Linear(32, 16)
            self.fc2 = nn.Linear(16, 2)

        def forward(self, x):
            x = F.relu(self.conv1(x))
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = torch.flatten(self.dropout1(x), 1)
            x = F.dropout(F.relu(self.fc1(x)), training=self.training)
            return F.log_softmax(self.fc2(x), dim=1)

    model, (data, target) = Net(), make_set(torch)
    optimizer = lib.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = lib.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        F.nll_loss(model(data), target).backward()
        optimizer.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        output = model(data)
        test_loss = F.nll_loss(output, target, reduction="sum").item()
        pred = output.argmax(dim=1, keepdim=True)
        correct = pred.eq(target.view_as(pred)).sum().item()
    assert 0 <= correct <= len(data) and math.isfinite(test_loss / len(data))
    assert scheduler.get_last_lr()[0] == pytest.approx(0.7**3)


def test_accumulated_and_clipped_gradients(lib):
    torch, nn = lib.torch, lib.nn
    net, (x, y) = make_net(nn), make_set(torch)
    optimizer = lib.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.99))
    optimizer.zero_grad(set_to_none=True)
    for i in range(0, len(x), 8):
        (nn.functional.cross_entropy(net(x[i : i + 8]), y[i : i + 8]) / 3).backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), max_norm=0.01)
    total = math.sqrt(sum((p.grad.data.norm(2) ** 2).item() for p in net.parameters()))
    assert float(norm) > 0.01 and total <= 0.0101
    nn.utils.clip_grad_value_(net.parameters(), 1e-4)
    assert max(p.grad.abs().max().item() for p in net.parameters()) <= 1.0001e-4
    optimizer.step()


def test_rates_set_by_hand_and_groups(lib):
    net = make_net(lib.nn)
    decay = [p for n, p in net.named_parameters() if p.dim() > 1]
    rest = [p for n, p in net.named_parameters() if len(p.shape) == 1 or n.endswith(".bias")]
    optimizer = lib.optim.SGD(
        [{"params": decay, "weight_decay": 1e-4}, {"params": rest, "lr": 0.5}], lr=0.1
    )
    for param_group in optimizer.param_groups:
        param_group["lr"] *= 0.1
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.01, 0.05])
    again = lib.optim.SGD([{"params": decay}, {"params": rest}], lr=1.0)
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["weight_decay"] == 1e-4 and again.param_groups[1]["lr"] == 0.05


def test_descent_by_hand(lib):
    torch = lib.torch
    w = torch.tensor([2.0, -3.0], requires_grad=True)
    for step in range(40):
        loss = (w**2).sum()
        loss.backward()
        with torch.no_grad():
            if step % 2:
                w -= 0.1 * w.grad
            else:
                w.add_(w.grad, alpha=-0.1)
        w.grad.zero_()
    w.data.sub_(w.data.clone())
    w.grad.data.zero_()
    assert w.is_leaf and w.requires_grad and w.abs().max().item() == 0


def test_parameters_updated_through_data(lib):
    net, (x, y) = make_net(lib.nn), make_set(lib.torch)
    before = [p.detach().clone() for p in net.parameters()]
    lib.F.cross_entropy(net(x), y).backward()
    for p in net.parameters():
        d_p = p.grad.data
        if p.dim() > 1:
            d_p.add_(p.data, alpha=1e-4)
        p.data.add_(d_p, alpha=-0.1)
    assert all(not lib.torch.equal(a, b) for a, b in zip(before, net.parameters()))


# -- building -----------------------------------------------------------------------------------
def test_a_residual_network(lib):
    torch, nn = lib.torch, lib.nn

    def conv3x3(in_planes, out_planes, stride=1):
        return nn.Conv2d(in_planes, out_planes, 3, stride=stride, padding=1, bias=False)

    class BasicBlock(nn.Module):
        expansion = 1

        def __init__(self, inplanes, planes, stride=1, downsample=None):
            super().__init__()
            self.conv1, self.bn1 = conv3x3(inplanes, planes, stride), nn.BatchNorm2d(planes)
            self.relu = nn.ReLU(inplace=True)
            self.conv2, self.bn2 = conv3x3(planes, planes), nn.BatchNorm2d(planes)
            self.downsample = downsample

        def forward(self, x):
            identity = x
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return self.relu(out)

    class Net(nn.Module):
        def __init__(self, block, layers):
            super().__init__()
            self.inplanes = 4
            self.stem = conv3x3(3, 4)
            self.layer1 = self._make_layer(block, 4, layers[0])
            self.layer2 = self._make_layer(block, 8, layers[1], stride=2)
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(8 * block.expansion, 10)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                    nn.init.constant_(m.weight, 1)
                    nn.init.constant_(m.bias, 0)
            for m in self.modules():
                if isinstance(m, BasicBlock):
                    nn.init.constant_(m.bn2.weight, 0)

        def _make_layer(self, block, planes, blocks, stride=1):
            downsample = None
            if stride != 1 or self.inplanes != planes * block.expansion:
                downsample = nn.Sequential(
                    nn.Conv2d(self.inplanes, planes, kernel_size=1, stride=stride, bias=False),
                    nn.BatchNorm2d(planes),
                )
            layers = [block(self.inplanes, planes, stride, downsample)]
            self.inplanes = planes
            for _ in range(1, blocks):
                layers.append(block(self.inplanes, planes))
            return nn.Sequential(*layers)

        def forward(self, x):
            x = self.layer2(self.layer1(self.stem(x)))
            x = self.avgpool(x)
            x = x.view(x.size(0), -1)
            return self.fc(x)

    net = Net(BasicBlock, [2, 1])
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 1750
    assert all(p.grad is not None for p in net.parameters())
    assert net.layer1[1].bn2.weight.sum().item() == 0
    assert list(dict(net.layer2.named_modules()))[:3] == ["", "0", "0.conv1"]


def test_weights_initialised_by_apply_and_by_data(lib):
    nn = lib.nn

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
            m.weight.data.normal_(0, math.sqrt(2.0 / n))
        elif classname.find("BatchNorm") != -1:
            m.weight.data.fill_(1.5)
            m.bias.data.zero_()
        elif isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight, gain=nn.init.calculate_gain("relu"))
            nn.init.zeros_(m.bias)

    net = make_net(nn)
    assert net.apply(weights_init) is net
    assert net[1].weight.tolist() == [1.5] * 6 and net[5].bias.abs().sum() == 0


def test_branches_lists_and_names(lib):
    torch, nn = lib.torch, lib.nn

    class Branches(nn.Module):
        def __init__(self, widths):
            super().__init__()
            self.branches = nn.ModuleList()
            for width in widths:
                self.branches.append(nn.Conv2d(3, width, 1))
            self.heads = nn.ModuleDict({"a": nn.Linear(6, 2), "b": nn.Linear(6, 3)})
            self.tail = nn.Sequential(OrderedDict([("relu", nn.ReLU()), ("id", nn.Identity())]))
            self.tail.add_module("pool", nn.AdaptiveAvgPool2d(1))
            self.scale = nn.Parameter(torch.ones(1, 6))
            self.register_parameter("bias", None)

        def forward(self, x):
            x = torch.cat([branch(x) for branch in self.branches], 1)
            x = self.tail(x).squeeze(3).squeeze(2) * self.scale
            return {name: head(x) for name, head in self.heads.items()}

    net = Branches([1, 2, 3])
    out = net(torch.randn(2, 3, 4, 4))
    assert out["b"].size() == (2, 3) and len(net.branches) == 3 and "a" in net.heads
    names = [name for name, _ in net.named_children()]
    assert names == ["branches", "heads", "tail"] and net.bias is None
    assert [n for n, _ in net.named_parameters()][0] == "scale"
    assert [m.out_channels for m in net.branches[1:]] == [2, 3]


def test_the_front_of_a_network_as_features(lib):
    torch, nn = lib.torch, lib.nn
    net = make_net(nn)
    features = nn.Sequential(*list(net.children())[:-1])
    for param in features.parameters():
        param.requires_grad = False
    net[-1] = nn.Linear(96, 7)
    optimizer = lib.optim.SGD(filter(lambda p: p.requires_grad, net.parameters()), lr=0.1)
    net(torch.randn(2, 3, 8, 8)).mean().backward()
    optimizer.step()
    assert net[:2][0].weight.grad is None and net[-1].weight.grad is not None
    assert features(torch.randn(2, 3, 8, 8)).shape == (2, 96)


def test_some_weights_of_another_network(lib):
    nn = lib.nn
    source, net = make_net(nn, 4), make_net(nn, 9)
    model_dict = net.state_dict()
    fitting = {k: v for k, v in source.state_dict().items()
               if k in model_dict and v.size() == model_dict[k].size()}  # fmt: skip
    model_dict.update(fitting)
    net.load_state_dict(model_dict)
    del fitting["0.weight"]
    missing, unexpected = net.load_state_dict(dict(fitting, more=fitting["1.bias"]), strict=False)
    assert missing == ["0.weight", "5.weight", "5.bias"] and unexpected == ["more"]
    assert str(net.load_state_dict(model_dict)) == "<All keys matched successfully>"
    with pytest.raises(RuntimeError, match="0.weight"):
        net.load_state_dict(fitting)
    module_net = {"module." + k: v for k, v in net.state_dict().items()}
    net.load_state_dict({k.replace("module.", ""): v for k, v in module_net.items()})


def test_the_best_weights_are_kept_by_a_deep_copy(lib):
    net, (x, y) = make_net(lib.nn), make_set(lib.torch)
    best = copy.deepcopy(net.state_dict())
    optimizer = lib.optim.Adam(net.parameters(), 0.1)
    lib.F.cross_entropy(net(x), y).backward()
    optimizer.step()
    changed = net.state_dict()
    assert not lib.torch.equal(best["5.weight"], changed["5.weight"])
    net.load_state_dict(best)
    assert lib.torch.equal(best["5.weight"], net[5].weight)


def test_an_average_of_weights(lib):
    torch = lib.torch
    net = make_net(lib.nn)
    ema = copy.deepcopy(net)
    for p in ema.parameters():
        p.requires_grad_(False)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(1.0)
        for e, m in zip(ema.state_dict().values(), net.state_dict().values()):
            if e.is_floating_point():
                e.copy_(e * 0.9 + 0.1 * m)
    for e, m in zip(ema.parameters(), net.parameters()):
        assert torch.allclose(e, m - 0.9, atol=1e-6)
        e.data.mul_(0.5).add_(m.data, alpha=0.5)


def test_shared_modules_and_tied_weights(lib):
    torch, nn = lib.torch, lib.nn

    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(4, 3)
            self.decoder = nn.Linear(4, 3)
            self.decoder.weight = self.encoder.weight
            self.alias = self.encoder
            self.register_buffer("scale", torch.full((1,), 2.0))
            self.register_buffer("cache", None)

        def forward(self, a, b):
            return (self.alias(a) - self.encoder(b)) * self.scale + self.decoder(a)

    net = Siamese()
    net(torch.randn(5, 4), torch.randn(5, 4)).sum().backward()
    assert len(list(net.parameters())) == 3 and len(net.state_dict()) == 7
    twin = copy.deepcopy(net)
    assert twin.decoder.weight is twin.encoder.weight and twin.alias is twin.encoder
    assert [n for n, _ in net.named_buffers()] == ["scale"]


def test_printed_networks_are_the_same(lib):
    nn = lib.nn
    block = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout(0.2))
    net = nn.Sequential(block, nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.Tanh()]))
    assert (
        str(net)
        == """Sequential(
  (0): Sequential(
    (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (1): ReLU(inplace=True)
    (2): Dropout(p=0.2, inplace=False)
  )
  (1): ModuleList(
    (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    (3): Tanh()
  )
)"""
    )


# -- ops in models ------------------------------------------------------------------------------
def test_squeeze_and_excitation(lib):
    torch, nn = lib.torch, lib.nn
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    fc = nn.Sequential(nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Linear(2, 4), nn.Sigmoid())
    b, c, _, _ = x.size()
    y = nn.AdaptiveAvgPool2d(1)(x).view(b, c)
    y = fc(y).view(b, c, 1, 1)
    (x * y.expand_as(x)).mean().backward()
    assert x.grad.shape == x.shape


def test_channel_shuffle_and_chunks(lib):
    torch = lib.torch
    x = torch.arange(24.0).view(1, 6, 2, 2)
    N, C, H, W = x.size()
    y = x.view(N, 3, C // 3, H, W).permute(0, 2, 1, 3, 4).contiguous().view(N, C, H, W)
    z = torch.transpose(x.view(N, 3, 2, H, W), 1, 2).reshape(N, -1, H, W)
    a, b = y.chunk(2, dim=1)
    assert torch.equal(y, z) and torch.equal(torch.cat((a, b), dim=1), y)
    assert y[0, :, 0, 0].tolist() == [0, 8, 16, 4, 12, 20]
    left, right = x[:, :4, :, :], x[:, 4:, :, :]
    assert left.size(1) == 4 and right.shape[1] == 2


def test_stochastic_depth_in_place(lib):
    torch, nn = lib.torch, lib.nn

    def drop_connect(x, drop_ratio):
        keep_ratio = 1.0 - drop_ratio
        mask = torch.empty([x.shape[0], 1, 1, 1], dtype=x.dtype, device=x.device)
        mask.bernoulli_(keep_ratio)
        x.div_(keep_ratio)
        x.mul_(mask)
        return x

    x = torch.ones(40, 3, 2, 2, requires_grad=True)
    out = drop_connect(nn.BatchNorm2d(3).eval()(x), 0.5)
    out.sum().backward()
    assert set(np.round(out.detach().numpy().ravel(), 3)) == {0, 2}
    assert torch.allclose(x.grad, out.detach(), atol=1e-3)


def test_ops_in_place_on_what_was_computed(lib):
    torch, F = lib.torch, lib.F
    x = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]], requires_grad=True)
    y = x * 2
    y.add_(1).mul_(0.5)
    y[:, 0] = 7
    y[1] += x[0]
    F.relu_(y)
    z = x.sum(1, keepdim=True).clone()
    z[0] *= 3
    mask = torch.zeros_like(x)
    mask[:, 1:].fill_(1)
    y = y * mask
    y += z
    y.masked_fill_(x > 4, 0.0)
    y.sum().backward()
    assert y.tolist() == [[6, 6, 9.5], [-5, 0, -5]]
    assert x.grad.tolist() == [[9, 9, 10], [2, 2, 2]]
    with pytest.raises(RuntimeError):
        x.add_(1)


def test_cutmix_and_mixup(lib):
    torch, F = lib.torch, lib.F
    x, y = make_set(torch, 6)
    net = make_net(lib.nn)
    lam = np.random.default_rng(0).beta(1.0, 1.0)
    index = torch.randperm(x.size()[0])
    mixed = lam * x + (1 - lam) * x[index, :]
    assert mixed.shape == x.shape
    x[:, :, 2:6, 1:4] = x[index, :, 2:6, 1:4]
    lam = 1 - (4 * 3) / (x.size()[-1] * x.size()[-2])
    output = net(x)
    loss = F.cross_entropy(output, y) * lam + F.cross_entropy(output, y[index]) * (1.0 - lam)
    loss.backward()
    assert loss.dim() == 0


def test_smoothed_labels_by_hand(lib):
    torch, F = lib.torch, lib.F
    logits, target = torch.randn(5, 4, requires_grad=True), torch.tensor([0, 3, 1, 1, 2])
    logp = F.log_softmax(logits, dim=-1)
    nll = -logp.gather(dim=-1, index=target.unsqueeze(1)).squeeze(1)
    loss = (0.9 * nll + 0.1 * -logp.mean(dim=-1)).mean()
    dense = torch.full_like(logp, 0.1 / 4).scatter_(1, target.data.unsqueeze(1), 0.9 + 0.1 / 4)
    assert torch.allclose(loss, (-dense * logp).sum(1).mean())
    assert torch.allclose(loss, F.cross_entropy(logits, target, label_smoothing=0.1))
    onehot = torch.zeros(5, 4).scatter_(1, target.view(-1, 1), 1)
    assert torch.equal(onehot, F.one_hot(target, num_classes=4).float())


def test_accuracy_of_the_top_k(lib):
    torch = lib.torch
    output = torch.tensor([[0.1, 0.5, 0.4], [0.7, 0.2, 0.1], [0.2, 0.3, 0.5]])
    target = torch.tensor([2, 0, 0])
    res = []
    _, pred = output.topk(2, 1, True, True)
    pred = pred.t()
    correct = pred.eq(target.view(1, -1).expand_as(pred))
    for k in (1, 2):
        correct_k = correct[:k].reshape(-1).float().sum(0, keepdim=True)
        res.append(correct_k.mul_(100.0 / target.size(0)).item())
    assert res == pytest.approx([100 / 3, 200 / 3])


def test_a_confusion_matrix_and_a_weighted_loss(lib):
    torch, nn = lib.torch, lib.nn
    matrix = torch.zeros(3, 3)
    for t, p in zip(torch.tensor([0, 1, 2, 1]), torch.tensor([0, 2, 2, 1])):
        matrix[t.long(), p.long()] += 1
    assert (matrix.diag() / matrix.sum(1)).tolist() == [1, 0.5, 1]
    criterion = nn.CrossEntropyLoss(weight=torch.FloatTensor([1.0, 2.0, 0.5]), ignore_index=2)
    assert criterion(torch.zeros(4, 3), torch.LongTensor([0, 1, 2, 1])).item() == pytest.approx(
        math.log(3)
    )


def test_segmentation(lib):
    torch, nn, F = lib.torch, lib.nn, lib.F
    net = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    x, target = torch.randn(2, 3, 8, 6), torch.randint(0, 4, (2, 8, 6))
    out = F.interpolate(net(x), size=x.size()[2:], mode="bilinear", align_corners=False)
    F.cross_entropy(out, target, ignore_index=255).backward()
    pred = out.argmax(1)
    inter = ((pred == 1) & (target == 1)).float().sum((1, 2))
    union = ((pred == 1) | (target == 1)).float().sum((1, 2))
    iou = (inter + 1e-6) / (union + 1e-6)
    assert iou.shape == (2,) and bool((iou <= 1).all())


def test_an_autoencoder_that_samples(lib):
    torch, nn, F = lib.torch, lib.nn, lib.F

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc = nn.Conv2d(3, 4, 4, stride=2, padding=1)
            self.mu, self.logvar = nn.Linear(64, 5), nn.Linear(64, 5)
            self.fc = nn.Linear(5, 64)
            self.dec = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)

        def reparameterize(self, mu, logvar):
            std = torch.exp(0.5 * logvar)
            eps = torch.randn_like(std)
            return mu + eps * std

        def forward(self, x):
            h = F.relu(self.enc(x)).flatten(1)
            mu, logvar = self.mu(h), self.logvar(h)
            z = self.reparameterize(mu, logvar)
            return torch.sigmoid(self.dec(self.fc(z).view(-1, 4, 4, 4))), mu, logvar

    x = torch.rand(2, 3, 8, 8)
    recon, mu, logvar = VAE()(x)
    bce = F.binary_cross_entropy(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    (bce + kld).backward()
    assert recon.shape == x.shape and kld.item() >= 0


def test_an_adversarial_pair(lib):
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    netG = nn.Sequential(nn.ConvTranspose2d(5, 4, 4, 1, 0, bias=False), nn.BatchNorm2d(4),
                         nn.ReLU(True), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())  # fmt: skip
    netD = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True),
                         nn.Conv2d(4, 1, 4, 1, 0), nn.Sigmoid())  # fmt: skip
    criterion = nn.BCELoss()
    optD, optG = (optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (netD, netG))
    real = torch.randn(6, 3, 8, 8)
    label = torch.full((6,), 1.0)
    netD.zero_grad()
    output = netD(real).view(-1)
    errD_real = criterion(output, label)
    errD_real.backward()
    fake = netG(torch.randn(6, 5, 1, 1))
    label.fill_(0.0)
    errD_fake = criterion(netD(fake.detach()).view(-1), label)
    errD_fake.backward()
    optD.step()
    netG.zero_grad()
    label.fill_(1.0)
    errG = criterion(netD(fake).view(-1), label)
    errG.backward()
    optG.step()
    assert 0 < output.mean().item() < 1 and (errD_real + errD_fake).item() > 0


def test_gram_matrix_and_total_variation(lib):
    torch = lib.torch
    x = torch.randn(1, 3, 4, 5, requires_grad=True)
    a, b, c, d = x.size()
    features = x.view(a * b, c * d)
    gram = torch.mm(features, features.t()).div(a * b * c * d)
    tv = (x[:, :, 1:] - x[:, :, :-1]).abs().mean() + torch.mean(
        torch.abs(x[:, :, :, 1:] - x[:, :, :, :-1])
    )
    (gram.pow(2).sum() + tv).backward()
    assert torch.allclose(gram, gram.t()) and x.grad is not None


# -- gradients ----------------------------------------------------------------------------------
def test_an_attack_on_the_input(lib):
    torch, F = lib.torch, lib.F
    net, (data, target) = make_net(lib.nn).eval(), make_set(torch, 4)
    data.requires_grad = True
    loss = F.cross_entropy(net(data), target)
    net.zero_grad()
    loss.backward()
    data_grad = data.grad.data
    perturbed = torch.clamp(data + 0.1 * data_grad.sign(), -1, 1)
    assert perturbed.requires_grad and perturbed.abs().max().item() <= 1
    adv = data.detach() + torch.empty_like(data).uniform_(-0.1, 0.1)
    for _ in range(2):
        adv.requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(net(adv), target)
        grad = torch.autograd.grad(loss, [adv])[0]
        adv = adv.detach() + 0.05 * torch.sign(grad.detach())
        adv = torch.min(torch.max(adv, data - 0.1), data + 0.1).detach()


def test_a_gradient_penalty(lib):
    torch, nn = lib.torch, lib.nn
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(144, 1))
    real, fake = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    alpha = torch.rand(real.size(0), 1, 1, 1)
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(mixed)
    gradients = torch.autograd.grad(
        outputs=scores, inputs=mixed, grad_outputs=torch.ones_like(scores), create_graph=True,
        retain_graph=True, only_inputs=True,
    )[0]  # fmt: skip
    gradients = gradients.view(gradients.size(0), -1)
    penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean()
    penalty.backward()
    assert critic[0].weight.grad.abs().sum() > 0


def test_a_straight_through_function(lib):
    torch = lib.torch

    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x > 0) * 2.0 - 1.0

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            grad_input = grad_output.clone()
            grad_input[x.abs() > 1] = 0
            return grad_input

    x = torch.tensor([-2.0, -0.5, 0.5, 2.0], requires_grad=True)
    y = Sign.apply(x)
    y.backward(torch.ones_like(y))
    assert y.tolist() == [-1, -1, 1, 1] and x.grad.tolist() == [0, 1, 1, 0]


def test_features_and_gradients_by_hooks(lib):
    torch, nn = lib.torch, lib.nn
    net, activation = make_net(nn), {}

    def get_activation(name):
        def hook(model, input, output):
            activation[name] = output.detach()

        return hook

    gradients = defaultdict(list)
    handles = [net[0].register_forward_hook(get_activation("conv"))]
    handles.append(
        net[3].register_full_backward_hook(
            lambda module, grad_input, grad_output: gradients["pool"].append(grad_output[0])
        )
    )
    features = None

    def save_gradient(module, args, output):
        nonlocal features
        features = output
        output.register_hook(lambda grad: gradients["map"].append(grad))

    handles.append(net[3].register_forward_hook(save_gradient))
    scores = net(torch.randn(2, 3, 8, 8))
    scores[:, 1].sum().backward()
    weights = gradients["map"][0].mean(dim=(2, 3), keepdim=True)
    cam = torch.relu((weights * features).sum(1))
    for handle in handles:
        handle.remove()
    assert activation["conv"].shape == (2, 6, 8, 8) and cam.shape == (2, 4, 4)
    assert gradients["pool"][0].shape == (2, 6, 4, 4) and not net[3]._forward_hooks


def test_hooks_with_keywords_and_in_front(lib):
    torch, nn = lib.torch, lib.nn

    class Scaled(nn.Module):
        def forward(self, x, scale=1.0):
            if scale < 0:
                raise ValueError("negative")
            return x * scale

    net, calls = Scaled(), []
    net.register_forward_pre_hook(lambda m, a, k: (a, {"scale": k["scale"] + 1}), with_kwargs=True)
    net.register_forward_hook(lambda m, a, k, out: calls.append(k["scale"]), with_kwargs=True)
    net.register_forward_hook(lambda m, a, out: out + 1, prepend=True)
    net.register_forward_hook(lambda m, a, out: calls.append(out), always_call=True)
    assert net(torch.ones(2), scale=2.0).tolist() == [4, 4] and calls[0] == 3
    with pytest.raises(ValueError):
        net(torch.ones(2), scale=-3.0)
    assert calls[-1] is None
    x = torch.ones(2, requires_grad=True)
    net.register_full_backward_pre_hook(lambda m, grad: (grad[0] * 10,))
    net(x, scale=2.0).sum().backward()
    assert x.grad.tolist() == [30, 30]


def test_hooks_on_states(lib):
    nn, seen = lib.nn, []
    net = make_net(nn)
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep_vars: seen.append(prefix))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.unexpected_keys.clear())
    state = net.state_dict(prefix="net.")
    assert list(state)[0] == "net.0.weight" and seen == ["net.0."]
    assert net.state_dict(keep_vars=True)["0.weight"] is net[0].weight
    twin = make_net(nn)
    twin.load_state_dict(net.state_dict(), assign=True)
    assert twin[0].weight.data_ptr() == net[0].weight.data_ptr() and isinstance(
        twin[0].weight, nn.Parameter
    )


def test_hessian_vector_products_and_jacobians(lib):
    torch = lib.torch
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = (x**3).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    v = torch.tensor([1.0, 0.5])
    (hv,) = torch.autograd.grad(g, x, grad_outputs=v)
    assert hv.tolist() == [6, 6]
    jac = torch.autograd.functional.jacobian(lambda x: x**2, torch.tensor([1.0, 3.0]))
    assert jac.tolist() == [[2, 0], [0, 6]]


def test_checkpointed_blocks(lib):
    torch = lib.torch
    checkpoint = importlib.import_module(f"{torch.__name__}.utils.checkpoint").checkpoint
    net, x = make_net(lib.nn).eval(), torch.randn(2, 3, 8, 8, requires_grad=True)
    net(x).sum().backward()
    plain, x.grad = x.grad, None
    checkpoint(net, x, use_reentrant=False).sum().backward()
    assert torch.allclose(plain, x.grad, atol=1e-6)


# -- tensors ------------------------------------------------------------------------------------
def test_dtypes_devices_and_conversions(lib):
    torch = lib.torch
    device = torch.device("cpu")
    net = make_net(lib.nn).double()
    x = torch.from_numpy(np.random.rand(2, 3, 8, 8)).to(device)
    y = net(x)
    assert y.dtype == torch.float64 and net.float()[0].weight.dtype == torch.float32
    assert y.detach().cpu().numpy().shape == (2, 4) and not y.is_cuda
    assert x.device == device and str(x.device) == "cpu" and x.device.type == "cpu"
    assert x.float().type(torch.float64).dtype == torch.double
    assert torch.tensor([1, 2]).dtype == torch.int64 and x.long().dtype == torch.long
    assert net.to(torch.float64)[0].weight.is_leaf and net.cpu() is net
    assert torch.zeros(2, dtype=torch.uint8).numel() == 2 and x.new_zeros(2).dtype == x.dtype
    assert torch.is_tensor(x) and len(x) == 2 and x.dim() == 4 and x.ndimension() == 4
    torch.cuda.manual_seed_all(1)


def test_old_spellings(lib):
    torch = lib.torch
    variable = importlib.import_module(f"{torch.__name__}.autograd").Variable
    x = variable(torch.ones(2, 2), requires_grad=True)
    loss = torch.pow(x - 3, 2).mean()
    loss.backward()
    assert x.grad.data[0, 0].item() == -1 and loss.data.item() == 4
    w = torch.nn.Parameter(torch.Tensor(4, 3).uniform_(-1, 1), requires_grad=True)
    assert w.shape == (4, 3) and w.requires_grad and w.data.abs().max() <= 1
    assert torch.squeeze(torch.unsqueeze(torch.LongTensor([1, 2]), 1)).tolist() == [1, 2]


def test_seeds_repeat_draws(lib):
    torch, draws = lib.torch, []
    for _ in range(2):
        torch.manual_seed(5)
        np.random.seed(5)
        draws.append((torch.rand(3).tolist(), torch.randperm(5).tolist(), torch.randn(2).tolist()))
    assert draws[0] == draws[1]
    generator = torch.Generator().manual_seed(1)
    parts = lib.data.random_split(range(10), [7, 3], generator=generator)
    assert [len(p) for p in parts] == [7, 3]


def test_a_dataset_with_workers_and_a_sampler(lib):
    torch, data = lib.torch, lib.data

    class Squares(data.Dataset):
        def __len__(self):
            return 9

        def __getitem__(self, index):
            return torch.full((1, 2), float(index)), index**2

    loader = data.DataLoader(Squares(), batch_size=4, shuffle=False, drop_last=False)
    batches = [(x.shape, y.tolist()) for x, y in loader]
    assert batches[0] == ((4, 1, 2), [0, 1, 4, 9]) and len(loader) == 3 == len(batches)
    images, labels = next(iter(loader))
    assert labels.dtype == torch.int64 and images[2, 0, 1].item() == 2
    sampler = data.SubsetRandomSampler([1, 3, 5])
    picked = [n for _, y in data.DataLoader(Squares(), 2, sampler=sampler) for n in y.tolist()]
    assert sorted(picked) == [1, 9, 25]


def test_values_printed_in_messages(lib):
    torch = lib.torch
    loss, acc = torch.tensor(0.25), torch.tensor(3)
    assert f"{loss:.3f} {acc}" == "0.250 3" and "Loss: %.2f" % loss == "Loss: 0.25"  # noqa: UP031
    assert f"{loss.item():>6.2f}" == "  0.25" and str(torch.tensor([1.5, 2.0])) == (
        "tensor([1.5000, 2.0000])"
    )
    assert f"{torch.tensor(2.0):.1f}" == "2.0" and int(acc) == 3 and bool(acc == 3)


def test_the_many_addresses_of_names(lib):
    name = lib.torch.__name__

    def at(address):
        return importlib.import_module(f"{name}.{address}")

    at("backends.cudnn").benchmark = True
    assert lib.torch.backends.cudnn.benchmark is True
    assert at("nn.parameter").Parameter is lib.nn.Parameter
    assert at("nn.modules.module").Module is lib.nn.Module
    assert at("nn.modules.utils")._pair(3) == (3, 3) == at("nn.modules.utils")._pair([3, 3])
    assert at("utils.data.dataset").Dataset is lib.data.Dataset
    assert at("utils.data.sampler").SubsetRandomSampler is lib.data.SubsetRandomSampler
    assert at("utils.data.dataloader").DataLoader is lib.data.DataLoader
    assert at("nn.modules").Conv2d is lib.nn.Conv2d
    assert at("optim.optimizer").Optimizer is lib.optim.Optimizer
    assert at("optim.lr_scheduler").StepLR is lib.optim.lr_scheduler.StepLR
    old, leaf = at("autograd.variable").Variable, lib.torch.ones(2)
    assert old(leaf, requires_grad=True).requires_grad and at("autograd.function").Function
    assert isinstance(leaf.shape, lib.torch.Size) and isinstance(leaf.dtype, lib.torch.dtype)
    assert lib.torch.Size([2, 3]).numel() == 6 and lib.torch.finfo(leaf.dtype).eps < 1e-6


def test_children_under_names_made_of_numbers(lib):
    nn = lib.nn

    class Tree(nn.Module):
        def __init__(self):
            super().__init__()
            for i in range(3):
                self.__setattr__("level_%d" % i, nn.Linear(2, 2))  # noqa: UP031

        def forward(self, x):
            for i in range(3):
                x = self.__getattr__("level_%d" % i)(x)  # noqa: UP031
            return x

    assert Tree()(lib.torch.ones(1, 2)).shape == (1, 2) and len(list(Tree().parameters())) == 6
    with pytest.raises(AttributeError, match="'Tree' object has no attribute 'level_3'"):
        Tree().__getattr__("level_3")


def test_plain_attributes_before_the_modules_own_init(lib):
    nn = lib.nn

    class Halved(nn.Conv2d):
        def __init__(self, channels, down):
            self.down = down  # what the base class need not know of
            super().__init__(channels, channels, 1)

    class Late(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(2, 2)

    assert Halved(3, True).down and "down" not in Halved(3, True).state_dict()
    with pytest.raises(AttributeError, match="__init__"):
        Late()


@pytest.mark.filterwarnings("ignore:.*is now deprecated in favor of:FutureWarning")
def test_older_names_of_initialisers(lib):
    init, weight = lib.nn.init, lib.torch.empty(4, 4)
    for name in "normal xavier_uniform xavier_normal kaiming_uniform kaiming_normal".split():
        assert getattr(init, name)(weight).std() > 0
    assert init.constant(weight, 2.0).sum() == 32 and init.eye(weight).sum() == 4
    assert init.uniform(weight).max() < 1 and abs(init.orthogonal(weight).norm() - 2) < 1e-5
    assert init.dirac(lib.torch.empty(2, 2, 3, 3)).sum() == 2


def test_the_last_layer_taken_off_renumbers(lib):
    nn = lib.nn
    front = nn.Sequential(OrderedDict(stem=nn.Linear(2, 3), act=nn.ReLU(), head=nn.Linear(3, 4)))
    del front[-1]
    assert list(front.state_dict()) == ["0.weight", "0.bias"] and len(front) == 2
    assert front(lib.torch.ones(1, 2)).shape == (1, 3)


# -- scaffolding ----------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's, about torch.cuda.amp
def test_mixed_precision_that_is_switched_off(lib):
    torch, net = lib.torch, make_net(lib.nn)
    old, new = (importlib.import_module(f"{torch.__name__}.{at}") for at in ("cuda.amp", "amp"))
    optimizer = lib.optim.SGD(net.parameters(), lr=0.1)
    x, y = make_set(torch)
    scalers = new.GradScaler("cuda", enabled=False), old.GradScaler(enabled=False)
    contexts = torch.autocast("cuda", enabled=False), old.autocast(enabled=False)
    for scaler, context in zip(scalers, contexts):
        before = net[0].weight.detach().clone()
        with context:
            loss = lib.F.cross_entropy(net(x), y)
        assert scaler.scale(loss) is loss and loss.dtype == torch.float32
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert not torch.equal(before, net[0].weight)
        assert scaler.state_dict() == {} and scaler.get_scale() == 1 and not scaler.is_enabled()
        scaler.load_state_dict({})
    assert new.autocast("cpu", enabled=False)(lambda: torch.is_autocast_enabled())() is False


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mixed_precision_that_is_asked_for_warns(lib):
    torch = lib.torch
    old, amp = (importlib.import_module(f"{torch.__name__}.{at}") for at in ("cuda.amp", "amp"))
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.warns(UserWarning):
        scaler = amp.GradScaler("cuda")
    with pytest.warns(UserWarning):
        assert not old.GradScaler().is_enabled()
    with pytest.warns(UserWarning), torch.autocast("cuda"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not scaler.is_enabled()


def test_wrapped_networks(lib):
    torch, nn = lib.torch, lib.nn
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    net, x = make_net(nn).eval(), torch.randn(2, 3, 8, 8)
    wrapped = nn.DataParallel(net, device_ids=[0, 1])
    assert wrapped.module is net and torch.equal(wrapped(x), net(x))
    assert all(key.startswith("module.") for key in wrapped.state_dict())
    assert isinstance(wrapped, torch.nn.parallel.DataParallel)
    keys = net.load_state_dict(wrapped.state_dict(), strict=False)
    assert repr(keys).startswith("_IncompatibleKeys(missing_keys=['0.weight', '1.weight'")

    class Marked(nn.Module):
        @torch.jit.ignore
        def shown(self):
            return "shown"

        @torch.jit.unused
        def forward(self, x):
            return x if torch.jit.is_scripting() else x + 1

        @torch.jit.export
        def parts(self):
            return self.shown()

    assert Marked()(torch.ones(1)).item() == 2 and Marked().parts() == "shown"
    ignored = torch.jit.ignore(drop=False)(lambda: 3)
    assert ignored() == 3 and callable(torch.compile(make_net(nn), disable=True))


def test_switches_of_the_whole_library(lib):
    torch = lib.torch
    torch.use_deterministic_algorithms(True)
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("highest")
    assert torch.get_float32_matmul_precision() == "highest"
    torch.set_default_device("cpu")
    assert torch.get_default_device() == torch.device("cpu")
    if torch is not importlib.import_module("tinyconv"):
        torch.set_default_device(None)
    torch.random.manual_seed(3)
    with torch.random.fork_rng():
        inside = torch.rand(3)
    assert torch.equal(inside, torch.rand(3)) and torch.random.initial_seed() == 3
    if not torch.cuda.is_available():
        torch.cuda.empty_cache()
        assert torch.cuda.device_count() == 0 == torch.cuda.max_memory_allocated()
    assert torch.backends.mps.is_available() in (True, False)


def test_devices_that_are_only_named(lib):
    torch = lib.torch
    first, second = torch.device("cuda:0"), torch.device("cuda", 1)
    assert (first.type, first.index, str(second)) == ("cuda", 0, "cuda:1") and first != second
    assert repr(first) == "device(type='cuda', index=0)" and torch.device(first) == first
    assert torch.device("cuda") != torch.device("cpu") == torch.ones(1).device
    with torch.device("cpu"):
        assert torch.ones(2).device.type == "cpu"
    with pytest.raises(RuntimeError, match="device"):
        torch.device("toaster")
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            torch.ones(1).to(first)


def test_more_addresses_of_names(lib):
    torch, nn = lib.torch, lib.nn

    def at(address):
        return importlib.import_module(f"{torch.__name__}.{address}")

    assert at("nn.modules").Module is nn.Module and nn.modules.utils._pair(3) == (3, 3)
    assert at("nn.utils.clip_grad").clip_grad_norm_ is nn.utils.clip_grad_norm_
    assert at("nn.utils.convert_parameters").parameters_to_vector
    assert at("nn.parallel").DataParallel is nn.DataParallel
    assert at("nn.modules.container").Sequential is nn.Sequential
    assert at("types").Device and at("nn.common_types")._size_2_t
    assert at("random").fork_rng and at("jit").Final
