"""LeNet-5. LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document
Recognition, Proc. IEEE 86(11), Sec. II-B, Fig. 2.

The modern reading: C3 is dense where the paper connects it by a table, pooling has no
weights, ReLU in place of the scaled tanh, a linear output in place of the RBF units.
28 x 28 images are padded by 2, which gives the paper's 32 x 32.
"""

import tinyconv.nn as nn
from tinyconv.nn import functional as F


class LeNet5(nn.Module):
    """LeNet-5 for 28 x 28 images: 61,706 parameters with one channel and ten classes.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.

    >>> import tinyconv as tc
    >>> tc.models.LeNet5()(tc.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    input_size = (28, 28)

    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # 6 x 14 x 14
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # 16 x 5 x 5
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
