"""What other libraries call the layers of the networks that are here too.

Each ``Source`` is a network as one library names it: how its files are told by one name in them,
and the rewritings, applied one after the other, that lead to the names used here. Where a
library has this library's names already (torchvision's networks, and many of timm's), there is
nothing to rewrite.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """The names of a network in one library.

    Attributes:
        name: library and network.
        mark: pattern of a name that only its files have.
        rules: pairs (pattern, replacement) for ``re.sub``.
        options: what the network here is to be built with, to compute what it does there.
    """

    name: str
    mark: str
    rules: tuple
    options: dict = field(default_factory=dict)

    def fits(self, names):
        """Whether these are names of its files."""
        return any(re.match(self.mark, name) for name in names)

    def rename(self, name):
        """The name that is used here."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name


_INCEPTION_V4 = [
    "stem.conv_1a.", "stem.conv_2a.", "stem.conv_2b.",
    "stem.mixed_3a.branch1.", "stem.mixed_4a.", "stem.mixed_5a.branch0.",
    *(f"inception_a.{i}." for i in range(4)), "reduction_a.",
    *(f"inception_b.{i}." for i in range(7)), "reduction_b.",
    *(f"inception_c.{i}." for i in range(3)),
]  # fmt: skip
#: timm's blocks 1 to 12 of Xception are the paper's 2 to 13
_XCEPTION = ["block2", "block3", "block4", *(f"middle.block{i}" for i in range(5, 13)), "block13"]
#: timm counts MobileNet's units within stages, which have so many
_MOBILE = (1, 2, 2, 6, 2)


def _inception_v4(match):
    number = int(match[1])
    return _INCEPTION_V4[number] if number < len(_INCEPTION_V4) else match[0]


def _xception(match):
    """Separable convolution, batch norm and ReLU in turn; all blocks but the first begin with
    the ReLU."""
    block, place = int(match[1]), int(match[2])
    if not 1 <= block <= len(_XCEPTION):
        return match[0]
    number, kind = divmod(place - (block > 1), 3)
    return f"{_XCEPTION[block - 1]}.{'bn' if kind else 'sep'}.{number}."


def _xception_skip(match):
    block = int(match[1])
    if not 1 <= block <= len(_XCEPTION):
        return match[0]
    return f"{_XCEPTION[block - 1]}.skip.{1 if match[2] else 0}."


def _mobile_unit(match):
    stage, place = int(match[1]), int(match[2])
    return f"units.unit{sum(_MOBILE[:stage]) + place + 1}."


def _stage(match):
    return f"layer{int(match[1]) + 1}.{match[2]}."


def _keras_block(inside):
    """Keras counts from conv2_block1 what is layer1.0 here."""

    def replacement(match):
        stage, block = int(match[1]) - 1, int(match[2]) - 1
        return f"layer{stage}.{block}." + match.expand(inside)

    return replacement


SOURCES = (
    Source(
        "timm vgg",
        r"pre_logits\.fc1\.",
        (
            (r"^pre_logits\.fc1\.", "classifier.0."),
            (r"^pre_logits\.fc2\.", "classifier.3."),
            (r"^head\.fc\.", "classifier.6."),
        ),
    ),
    Source(
        "timm or Cadene inception_v4",
        r"features\.21\.branch2_3a\.",
        (
            (r"^features\.3\.conv\.", "features.3."),
            (r"^features\.5\.conv\.", "features.5."),
            (r"^features\.(\d+)\.", _inception_v4),
            # the two halves of a pair of 1 x 3 and 3 x 1, and what is before it
            (r"\.branch(\d)_(\d)a\.", r".branch\1.\2.branch0."),
            (r"\.branch(\d)_(\d)b\.", r".branch\1.\2.branch1."),
            (r"\.branch(\d)_(\d)\.", r".branch\1.\2."),
            (r"^last_linear\.", "fc."),
        ),
    ),
    Source(
        "timm or Cadene inception_resnet_v2",
        r"repeat_1\.0\.branch0\.",
        (
            (r"^conv2d_([1-4][ab])\.", r"stem.conv_\1."),
            (r"^mixed_5b\.", "stem.mixed_5b."),
            (r"^repeat\.", "inception_a."),
            (r"^mixed_6a\.", "reduction_a."),
            (r"^repeat_1\.", "inception_b."),
            (r"^mixed_7a\.", "reduction_b."),
            (r"^repeat_2\.", "inception_c."),
            (r"^block8\.", "inception_c.9."),
            (r"^(inception_[abc]\.\d+)\.branch", r"\1.branches.branch"),
            (r"^(inception_[abc]\.\d+)\.conv2d\.", r"\1.linear."),
            (r"^conv2d_7b\.", "conv_7b."),
            (r"^(classif|last_linear)\.", "fc."),
        ),
    ),
    Source(
        "timm or Cadene xception",
        r"block1\.rep\.0\.conv1\.",
        (
            (r"^(conv|bn)([12])\.", r"block1_conv\2.\1."),
            (r"^block(\d+)\.skip(bn)?\.", _xception_skip),
            (r"^block(\d+)\.rep\.(\d+)\.", _xception),
            (r"^conv3\.", "block14_sep1."),
            (r"^conv4\.", "block14_sep2."),
            (r"^bn3\.", "block14_bn1."),
            (r"^bn4\.", "block14_bn2."),
            (r"(sep\.\d|block14_sep\d)\.conv1\.", r"\1.depthwise."),
            (r"^last_linear\.", "fc."),
        ),
        {"eps": 1e-5},
    ),
    Source(
        "timm resnetv2",
        r"stages\.0\.blocks\.0\.norm1\.",
        (
            (r"^stem\.conv\.", "conv1."),
            (r"^stages\.(\d+)\.blocks\.(\d+)\.", _stage),
            (r"\.downsample\.conv\.", ".shortcut."),
            (r"^(.*)\bnorm(\d?)\.", r"\1bn\2."),
            (r"^head\.fc\.", "fc."),
        ),
    ),
    Source(
        "timm mobilenetv1",
        r"blocks\.0\.0\.conv_dw\.",
        (
            (r"^conv_stem\.", "conv1."),
            (r"^blocks\.(\d)\.(\d)\.", _mobile_unit),
            (r"^classifier\.", "fc."),
        ),
        {"relu6": True},
    ),
    Source(
        "Cadene bninception",
        r"inception_3a_1x1\.",
        (
            (r"^last_linear\.", "fc."),
            (r"^((?:conv|inception)[^.]*?)_bn\.", r"\1.bn."),
            (r"^((?:conv|inception)[^.]*)\.(weight|bias)$", r"\1.conv.\2"),
            (r"^conv1_7x7_s2\.", "conv1."),
            (r"^conv2_3x3_reduce\.", "conv2_reduce."),
            (r"^conv2_3x3\.", "conv2."),
            (r"^inception_(\d[a-e])_", r"inception\1."),
            (r"\.1x1\.", ".branch1x1."),
            (r"\.double_3x3_reduce\.", ".branch3x3dbl.0."),
            (r"\.double_3x3_(\d)\.", r".branch3x3dbl.\1."),
            (r"\.3x3_reduce\.", ".branch3x3.0."),
            (r"\.3x3\.", ".branch3x3.1."),
            (r"\.pool_proj\.", ".branch_pool.1."),
        ),
    ),
    Source(
        "Keras resnet",
        r"conv2_block1_3_bn\.",
        (
            (r"^conv1_(conv|bn)\.", r"\g<1>1."),
            (r"^conv(\d)_block(\d+)_0_conv\.", _keras_block("downsample.0.")),
            (r"^conv(\d)_block(\d+)_0_bn\.", _keras_block("downsample.1.")),
            (r"^conv(\d)_block(\d+)_([123])_(conv|bn)\.", _keras_block(r"\4\3.")),
            (r"^(predictions|probs|fc1000)\.", "fc."),
        ),
    ),
    Source(
        "torchvision densenet before 0.3",
        r".*denselayer1\.norm\.1\.",
        ((r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2."),),
    ),
)


def source_of(names):
    """The ``Source`` that these names come from, or None.

    >>> source_of(["conv_stem.weight", "blocks.0.0.conv_dw.weight"]).rename("conv_stem.weight")
    'conv1.weight'
    """
    return next((source for source in SOURCES if source.fits(names)), None)
