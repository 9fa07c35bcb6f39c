"""A script as a PyTorch tutorial writes it: only the imports are swapped.

It promises at least 96 % on the 1 500 held-out digits after four epochs, and fails below.
Run: python examples/tutorial_inception.py          (--tiny: a few steps, no promise)
"""

import sys

import tinyconv as torch
import tinyconv.nn as nn
import tinyconv.nn.functional as F
import tinyconv.optim as optim
from tinyconv import data
from tinyconv.utils.data import DataLoader, Subset

TINY = "--tiny" in sys.argv
torch.manual_seed(1)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class InceptionA(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.branch1x1 = nn.Conv2d(in_channels, 16, kernel_size=1)

        self.branch5x5_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5_2 = nn.Conv2d(16, 24, kernel_size=5, padding=2)

        self.branch3x3dbl_1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch3x3dbl_2 = nn.Conv2d(16, 24, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = nn.Conv2d(24, 24, kernel_size=3, padding=1)

        self.branch_pool = nn.Conv2d(in_channels, 24, kernel_size=1)

    def forward(self, x):
        branch1x1 = self.branch1x1(x)
        branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
        branch3x3dbl = self.branch3x3dbl_1(x)
        branch3x3dbl = self.branch3x3dbl_2(branch3x3dbl)
        branch3x3dbl = self.branch3x3dbl_3(branch3x3dbl)
        branch_pool = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        branch_pool = self.branch_pool(branch_pool)
        outputs = [branch1x1, branch5x5, branch3x3dbl, branch_pool]
        return torch.cat(outputs, dim=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(88, 20, kernel_size=5)
        self.incept1 = InceptionA(in_channels=10)
        self.incept2 = InceptionA(in_channels=20)
        self.mp = nn.MaxPool2d(2)
        self.fc = nn.Linear(1408, 10)

    def forward(self, x):
        x = F.relu(self.mp(self.conv1(x)))
        x = self.incept1(x)
        x = F.relu(self.mp(self.conv2(x)))
        x = self.incept2(x)
        x = x.view(x.size(0), -1)
        return self.fc(x)


train_set, test_set = data.load("digits", train=True), data.load("digits", train=False)
if TINY:
    train_set, test_set = Subset(train_set, range(128)), Subset(test_set, range(64))
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=500, shuffle=False)

model = Net().to(device)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)


def train(epoch):
    model.train()
    for batch_idx, (images, target) in enumerate(train_loader):
        images, target = images.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), target)
        loss.backward()
        optimizer.step()
        if batch_idx % 25 == 0:
            done, total = batch_idx * len(images), len(train_loader.dataset)
            print(f"Train Epoch: {epoch} [{done}/{total}]\tLoss: {loss.item():.6f}")


def test():
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for images, target in test_loader:
            output = model(images.to(device))
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            pred = torch.max(output, 1)[1]
            correct += pred.eq(target.view_as(pred)).sum().item()
    count = len(test_loader.dataset)
    print(f"Test set: average loss {test_loss / count:.4f}, accuracy {correct}/{count}")
    return correct / count


for epoch in range(1, 2 if TINY else 5):
    train(epoch)
    accuracy = test()
if not TINY and accuracy < 0.96:
    sys.exit(f"promised 96 %, reached {accuracy:.2%}")
