"""Model files that others wrote for PyTorch, unchanged but for their imports: PyTorch's logits and
weight gradients, in evaluation and in training, to 1e-6 in float64.

Some are those of a package (``pip install pytorchcv``), one small network of each family. Others
are read from clones of CIFAR zoos below the folder that ``MODEL_FILES`` names::

    git clone https://github.com/kuangliu/pytorch-cifar
    git clone https://github.com/weiaicunzai/pytorch-cifar100
    MODEL_FILES=$PWD python -m pytest tests/peers/test_peers_scripts.py
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from swap import copy_state, disagreement, swapped  # noqa: E402

#: family of the package, its network, image size. Not here: those whose own autograd.Functions
#: expect tensors (isqrtcovresnet, revnet, wrn1bit), Conv3d (channelnet), and enet, whose pools
#: overlap, so that max_unpool2d writes places twice (the last one gets the gradient here, each
#: in PyTorch)
QUICK = """
    resnet_cifar resnet20_cifar10 32
    preresnet_cifar preresnet20_cifar10 32
    densenet_cifar densenet40_k12_bc_cifar10 32
    diaresnet_cifar diaresnet20_cifar10 32
    resdropresnet_cifar resdropresnet20_cifar10 32
    sepreresnet_cifar sepreresnet20_cifar10 32
    seresnet_cifar seresnet20_cifar10 32
    nin_cifar nin_cifar10 32
    xdensenet_cifar xdensenet40_2_k24_bc_cifar10 32
    efficientnet efficientnet_b0 64
"""
SLOW = """
    airnet airnet50_1x64d_r16 224
    airnext airnext50_32x4d_r2 224
    alexnet alexnetb 224
    bagnet bagnet9 224
    bamresnet bam_resnet18 224
    bninception bninception 224
    cbamresnet cbam_resnet18 224
    centernet centernet_resnet18_voc 64
    cgnet cgnet_cityscapes 64
    condensenet condensenet74_c8_g8 224
    contextnet ctxnet_cityscapes 64
    dabnet dabnet_cityscapes 64
    darknet darknet_tiny 224
    darknet53 darknet53 224
    darts darts 224
    densenet densenet121 224
    diapreresnet_cifar diapreresnet20_cifar10 32
    dicenet dicenet_wd5 224
    diracnetv2 diracnet18v2 224
    dla dla46xc 224
    dpn dpn68 224
    drn drnd22 224
    edanet edanet_cityscapes 64
    efficientnetedge efficientnet_edge_small_b 64
    erfnet erfnet_cityscapes 64
    esnet esnet_cityscapes 64
    espcnet espcnet_cityscapes 64
    espnetv2 espnetv2_wd2 224
    fbnet fbnet_cb 224
    fcn8sd fcn8sd_resnetd50b_cityscapes 64
    fdmobilenet fdmobilenet_wd4 224
    fishnet fishnet99 224
    fpenet fpenet_cityscapes 64
    ghostnet ghostnet 224
    hardnet hardnet39ds 224
    hrnet hrnet_w18_small_v1 224
    ibnbresnet ibnb_resnet50 224
    ibndensenet ibn_densenet121 224
    ibnresnet ibn_resnet50 224
    ibnresnext ibn_resnext50_32x4d 224
    igcv3 igcv3_wd4 224
    inceptionresnetv1 inceptionresnetv1 299
    inceptionresnetv2 inceptionresnetv2 299
    inceptionv3 inceptionv3 299
    inceptionv4 inceptionv4 299
    lednet lednet_cityscapes 64
    linknet linknet_cityscapes 64
    lwopenpose_cmupan lwopenpose2d_mobilenet_cmupan_coco 64
    menet menet108_8x1_g3 224
    mixnet mixnet_s 224
    mnasnet mnasnet_small 224
    mobilenet mobilenet_wd4 224
    mobilenetb mobilenetb_wd4 224
    mobilenetv2 mobilenetv2b_wd4 224
    mobilenetv3 mobilenetv3_small_w7d20 224
    msdnet_cifar10 msdnet22_cifar10 32
    nasnet nasnet_4a1056 224
    octresnet octresnet10_ad2 224
    peleenet peleenet 224
    pnasnet pnasnet5large 331
    proxylessnas proxylessnas_mobile 224
    pyramidnet_cifar pyramidnet110_a48_cifar10 32
    regnet regnetx002 224
    resattnet resattnet56 224
    resnesta resnestabc14 224
    resneta resneta10 224
    resnetd resnetd50b 224
    resnext_cifar resnext20_32x2d_cifar10 32
    rir_cifar rir_cifar10 32
    ror_cifar ror3_56_cifar10 32
    scnet scnet50 224
    segnet segnet_cityscapes 64
    selecsls selecsls42 224
    senet senet16 224
    seresnet seresnet10 224
    seresnext seresnext50_32x4d 224
    shakeshakeresnet_cifar shakeshakeresnet20_2x16d_cifar10 32
    sharesnet sharesnet18 224
    shufflenet shufflenet_g1_wd4 224
    shufflenetv2 shufflenetv2_wd2 224
    shufflenetv2b shufflenetv2b_wd2 224
    sinet sinet_cityscapes 128
    sknet sknet50 224
    spnasnet spnasnet 224
    sqnet sqnet_cityscapes 64
    squeezenet squeezenet_v1_1 224
    squeezenext sqnxt23_w1 224
    tresnet tresnet_m 224
    unet unet_cityscapes 64
    vgg vgg11 224
    vovnet vovnet27s 224
    wrn_cifar wrn16_10_cifar10 32
    xception xception 299
    xdensenet xdensenet121_2 224
    zfnet zfnet 224
"""
#: file of a clone, and what it builds for images of 32 x 32 (stochasticdepth.py of the second
#: zoo is not here: it wants torch.jit)
ZOO = """
    pytorch-cifar/models/vgg.py VGG('VGG11')
    pytorch-cifar/models/resnet.py ResNet18()
    pytorch-cifar/models/preact_resnet.py PreActResNet18()
    pytorch-cifar/models/googlenet.py GoogLeNet()
    pytorch-cifar/models/densenet.py densenet_cifar()
    pytorch-cifar/models/resnext.py ResNeXt29_2x64d()
    pytorch-cifar/models/mobilenet.py MobileNet()
    pytorch-cifar/models/mobilenetv2.py MobileNetV2()
    pytorch-cifar/models/dpn.py DPN26()
    pytorch-cifar/models/shufflenet.py ShuffleNetG2()
    pytorch-cifar/models/shufflenetv2.py ShuffleNetV2(0.5)
    pytorch-cifar/models/senet.py SENet18()
    pytorch-cifar/models/efficientnet.py EfficientNetB0()
    pytorch-cifar/models/regnet.py RegNetX_200MF()
    pytorch-cifar/models/pnasnet.py PNASNetA()
    pytorch-cifar/models/dla_simple.py SimpleDLA()
    pytorch-cifar/models/dla.py DLA()
    pytorch-cifar/models/lenet.py LeNet()
    pytorch-cifar100/models/attention.py attention56()
    pytorch-cifar100/models/densenet.py densenet121()
    pytorch-cifar100/models/googlenet.py googlenet()
    pytorch-cifar100/models/inceptionv3.py inceptionv3()
    pytorch-cifar100/models/inceptionv4.py inceptionv4()
    pytorch-cifar100/models/mobilenet.py mobilenet()
    pytorch-cifar100/models/mobilenetv2.py mobilenetv2()
    pytorch-cifar100/models/nasnet.py nasnet()
    pytorch-cifar100/models/preactresnet.py preactresnet18()
    pytorch-cifar100/models/resnet.py resnet18()
    pytorch-cifar100/models/resnext.py resnext50()
    pytorch-cifar100/models/rir.py resnet_in_resnet()
    pytorch-cifar100/models/senet.py seresnet18()
    pytorch-cifar100/models/shufflenet.py shufflenet()
    pytorch-cifar100/models/shufflenetv2.py shufflenetv2()
    pytorch-cifar100/models/squeezenet.py squeezenet()
    pytorch-cifar100/models/vgg.py vgg11_bn()
    pytorch-cifar100/models/wideresidual.py wideresnet()
    pytorch-cifar100/models/xception.py xception()
"""


def lines(text, *marks):
    parts = [line.split(maxsplit=2) for line in text.strip().splitlines()]
    return [pytest.param(*part, id=" ".join(part[:2]), marks=marks) for part in parts]


#: what they drop in training is drawn anew by each framework
CHANCE = ("resdropresnet20_cifar10", "shakeshakeresnet20_2x16d_cifar10")


def compare(theirs, ours, size, modes=(False, True)):
    for network in (theirs, ours):
        network.double()
        for module in network.modules():
            if "Dropout" in type(module).__name__:
                module.p = 0.0  # what is left to chance can not be compared
            if hasattr(module, "drop_rate"):
                module.drop_rate = 0.0  # the same, where it is called as a function
    copy_state(theirs, ours)
    image = np.random.default_rng(3).standard_normal((2, 3, size, size))
    for training in modes:
        assert max(disagreement(theirs, ours, image, training)) < 1e-6


@pytest.mark.parametrize("family, name, size", lines(QUICK) + lines(SLOW, pytest.mark.slow))
def test_a_package_of_networks(family, name, size, request):
    pytest.importorskip("pytorchcv")
    if "slow" in request.keywords and "slow" not in request.config.option.markexpr:
        pytest.skip("run with -m slow")

    def build():
        return getattr(importlib.import_module(f"pytorchcv.models.{family}"), name)()

    torch.manual_seed(1)
    theirs = build()
    with swapped("pytorchcv"):
        ours = build()
    compare(theirs, ours, int(size), *[(False,)] * (name in CHANCE))


@pytest.mark.parametrize("file, build", lines(ZOO))
def test_a_zoo_of_files(file, build):
    folder = os.environ.get("MODEL_FILES")
    if not folder or not Path(folder, file).exists():
        pytest.skip("wants MODEL_FILES, a folder with the clones")

    def module():
        spec = importlib.util.spec_from_file_location("model_file", Path(folder, file))
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["model_file"] = loaded
        spec.loader.exec_module(loaded)
        return loaded

    torch.manual_seed(1)
    theirs = eval(build, vars(module()))
    with swapped("model_file"):
        ours = eval(build, vars(module()))
    compare(theirs, ours, 32)
