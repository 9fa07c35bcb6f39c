"""The names of timm's, Cadene's and older files lead to the right places of our networks."""

import numpy as np
import pytest

import tinyconv as tc
from tinyconv.weights import load_into, looks_like, save_file
from tinyconv.weights.into import network
from tinyconv.weights.names import SOURCES, source_of

#: checkpoint: (our network, how many entries without counters, the names of its layers)
FILES = {
    "timm vgg16_bn": ("vgg16_bn", 84, """
        features.{0,3,7,10,14,17,20,24,27,30,34,37,40} pre_logits.fc{1,2} head.fc
        features.{1,4,8,11,15,18,21,25,28,31,35,38,41}"""),
    "timm inception_v4": ("inception_v4", 747, """
        features.{0..2}.{conv,bn} features.{3,5}.conv.{conv,bn}
        features.4.branch{0.{0,1},1.{0..3}}.{conv,bn}
        features.{6..9}.branch{0,1.{0,1},2.{0..2},3.1}.{conv,bn}
        features.10.branch{0,1.{0..2}}.{conv,bn}
        features.{11..17}.branch{0,1.{0..2},2.{0..4},3.1}.{conv,bn}
        features.18.branch{0.{0,1},1.{0..3}}.{conv,bn}
        features.{19..21}.branch{0,1_{0,1a,1b},2_{0..2},2_3{a,b},3.1}.{conv,bn} last_linear"""),
    "timm inception_resnet_v2": ("inception_resnet_v2", 1102, """
        conv2d_{1a,2a,2b,3b,4a,7b}.{conv,bn} mixed_5b.branch{0,1.{0,1},2.{0..2},3.1}.{conv,bn}
        repeat.{0..9}.{branch{0,1.{0,1},2.{0..2}}.{conv,bn},conv2d}
        mixed_6a.branch{0,1.{0..2}}.{conv,bn}
        repeat_1.{0..19}.{branch{0,1.{0..2}}.{conv,bn},conv2d}
        mixed_7a.branch{0.{0,1},1.{0,1},2.{0..2}}.{conv,bn}
        repeat_2.{0..8}.{branch{0,1.{0..2}}.{conv,bn},conv2d}
        block8.{branch{0,1.{0..2}}.{conv,bn},conv2d} classif"""),
    "timm legacy_xception": ("xception", 236, """
        conv{1,2} bn{1..4} conv{3,4}.{conv1,pointwise} block{1,2,3,12}.{skip,skipbn}
        block1.rep.{{0,3}.{conv1,pointwise},1,4}
        block{2,3,12}.rep.{{1,4}.{conv1,pointwise},2,5}
        block{4..11}.rep.{{1,4,7}.{conv1,pointwise},2,5,8} fc"""),
    "timm resnetv2_50": ("preact_resnet50", 251, """
        stem.conv stages.{0..3}.blocks.0.downsample.conv norm head.fc
        stages.{0.blocks.{0..2},1.blocks.{0..3},2.blocks.{0..5},3.blocks.{0..2}}.{norm,conv}{1..3}
        """),
    "timm mobilenetv1_100": ("mobilenet_v1_1_0", 137, """
        conv_stem bn1 classifier
        blocks.{0.0,{1,2,4}.{0,1},3.{0..5}}.{conv_dw,bn1,conv_pw,bn2}"""),
    "Cadene bninception": ("bn_inception_caffe", 416, """
        conv1_7x7_s2{,_bn} conv2_3x3{_reduce,}{,_bn} last_linear
        inception_{3{a,b,c},4{a..e},5{a,b}}_{3x3{_reduce,},double_3x3_{reduce,1,2}}{,_bn}
        inception_{3{a,b},4{a..d},5{a,b}}_{1x1,pool_proj}{,_bn}"""),
    "torchvision densenet121 before 0.3": ("densenet121", 606, """
        features.{conv,norm}0 features.norm5 features.transition{1..3}.{norm,conv} classifier
        features.denseblock{1.denselayer{1..6},2.denselayer{1..12},3.denselayer{1..24},4.denselayer{1..16}}.{norm,conv}.{1,2}
        """),
}  # fmt: skip


def expand(pattern):
    """'a{0..2,x{y,z}}' -> a0, a1, a2, axy, axz."""
    start = pattern.find("{")
    if start < 0:
        return [pattern]
    depth, parts, begin = 0, [], start + 1
    for i in range(start, len(pattern)):
        depth += (pattern[i] == "{") - (pattern[i] == "}")
        if depth == 1 and pattern[i] == "," or depth == 0:
            parts.append(pattern[begin:i])
            begin = i + 1
        if depth == 0:
            break
    rest = expand(pattern[begin:])
    values = []
    for part in parts:
        first, dots, last = part.partition("..")
        if dots and "{" not in part:
            numbers = range(ord(first), ord(last) + 1) if first.isalpha() else None
            values += map(chr, numbers) if numbers else map(str, range(int(first), int(last) + 1))
        else:
            values += expand(part)
    return [pattern[:start] + value + tail for value in values for tail in rest]


def blank(name):
    with tc.nn.init.skip_init():
        return tc.models.get_model(name)


def layer(name):
    return name.rpartition(".")[0]


@pytest.mark.parametrize("checkpoint", FILES)
def test_every_name_has_its_place(checkpoint):
    name, count, layers = FILES[checkpoint]
    theirs = [n for pattern in layers.split() for n in expand(pattern)]
    source = source_of([f"{n}.weight" for n in theirs])
    assert source is not None and sum(s.fits([f"{n}.weight" for n in theirs]) for s in SOURCES) == 1
    model = blank(name)
    own = {n: v for n, v in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    back = {layer(source.rename(f"{n}.weight")): n for n in theirs}
    assert len(back) == len(theirs) and set(back) == {layer(n) for n in own} and len(own) == count
    if "vgg" in name:
        return  # half a gigabyte; how its head is reshaped, test_weights_into.py tests
    # as the other library would have it: no counters, each entry with a number of its own
    state = {}
    for number, (entry, value) in enumerate(own.items()):
        array = np.broadcast_to(np.float32(number), value.shape)
        state[f"{back[layer(entry)]}.{entry.rpartition('.')[2]}"] = array
    state = {n: state[n] for n in sorted(state)}
    load_into(model, state)
    for number, value in enumerate(own.values()):
        assert (value.array.flat[0], value.array.flat[-1]) == (number, number)
    assert looks_like(state) == name


@pytest.mark.parametrize("checkpoint", ["timm mobilenetv1_100", "timm legacy_xception"])
def test_a_network_gets_what_its_source_wants(checkpoint, tmp_path):
    """timm's MobileNet has ReLU6, its copy of Xception another eps than the author's."""
    name, _, layers = FILES[checkpoint]
    names = [f"{n}.weight" for pattern in layers.split() for n in expand(pattern)]
    source, own = source_of(names), blank(name).state_dict()
    state = {n: own[source.rename(n)] for n in names}
    for entry, value in own.items():
        what = entry.rpartition(".")[2]
        if what != "weight":
            theirs = next(n for n in names if layer(source.rename(n)) == layer(entry))
            state[f"{layer(theirs)}.{what}"] = value
    save_file(state, tmp_path / "w.npz")
    model = network(name, tmp_path / "w.npz")
    if name == "xception":
        assert {m.eps for m in model.modules() if isinstance(m, tc.nn.BatchNorm2d)} == {1e-5}
    else:
        assert model.activation is tc.nn.functional.relu6


def test_the_names_that_torchvision_has_are_left_alone():
    for name in ("resnet18", "vgg11_bn", "googlenet_torchvision", "inception_v3", "squeezenet1_1",
                 "densenet121", "alexnet_torchvision"):  # fmt: skip
        assert source_of(blank(name).state_dict()) is None, name


def test_keras_resnets():
    patterns = """conv1_{conv,bn} conv{2..5}_block1_0_{conv,bn} predictions
        conv{2_block{1..3},3_block{1..4},4_block{1..6},5_block{1..3}}_{1..3}_{conv,bn}"""
    theirs = [f"{n}.weight" for pattern in patterns.split() for n in expand(pattern)]
    source = source_of(theirs)
    own = {n for n in blank("resnet50_v1_original").state_dict() if n.endswith("weight")}
    assert {source.rename(n) for n in theirs} == own and len(theirs) == len(own)
    assert source_of(n.replace("_3_bn", "_3") for n in theirs) is None  # a DenseNet has no third


def peers():
    tv = pytest.importorskip("torch")
    try:
        import timm
    except (ImportError, RuntimeError):
        pytest.skip("timm is not here")
    return tv, timm


@pytest.mark.peers
@pytest.mark.parametrize(
    "theirs, ours, options, size",
    [
        ("inception_v4", "inception_v4", {}, (107, 91)),
        ("inception_resnet_v2", "inception_resnet_v2", {}, (107, 91)),
        ("legacy_xception", "xception", {"eps": 1e-5}, (65, 81)),
        ("resnetv2_50", "preact_resnet50", {}, (64, 81)),
        ("mobilenetv1_100", "mobilenet_v1_1_0", {"relu6": True}, (64, 81)),
        ("vgg11_bn", "vgg11_bn", {}, (224, 224)),
    ],
)
def test_the_same_results_as_timm(theirs, ours, options, size):
    torch, timm = peers()
    torch.manual_seed(0)
    other = timm.create_model(theirs).eval()
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            if tensor.ndim == 1:
                tensor.uniform_(0.75, 1.25)
        expected = other(x).numpy()
    with tc.nn.init.skip_init():
        model = tc.models.get_model(ours, **options).eval()
    load_into(model, {n: t.numpy() for n, t in other.state_dict().items()})
    with tc.no_grad():
        found = model(tc.from_numpy(x.numpy())).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5 * abs(expected).max())
