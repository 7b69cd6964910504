"""Every model has the number of weights that its paper prints, or that follows from its layers."""

import math

import pytest

from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import lenet_300_100, linear, mlp
from tfphen.models.densenet import densenet
from tfphen.models.recurrent import lstm
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.transformer import transformer
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet

CIFAR = (32, 32, 3)


def trainable(model, kernels_only=False):
    weights = model.trainable_variables
    return sum(math.prod(w.shape) for w in weights if "kernel" in w.name or not kernels_only)


@pytest.mark.parametrize("width", [1, 10, 64])
def test_double_descent_networks(width):
    # Derived; printed for 64 channels: 11,171,146 (the pre-activation network's usual count).
    plain = convnet(CIFAR, 10, width=width)
    assert trainable(plain) == 378 * width**2 + 152 * width + 10
    residual = resnet18(CIFAR, 10, width=width)
    assert trainable(residual) == 2724 * width**2 + 213 * width + 10
    if width == 64:
        assert trainable(residual) == 11_171_146 and trainable(plain) == 1_558_026


def test_small_networks():
    assert linear((40,), 10).count_params() == 410
    assert linear((40,), 10, use_bias=False).count_params() == 400
    # Printed by the authors of MNIST-1D: 15,210 and 5,210.
    assert mlp((40,), 10, hidden_units=(100, 100), skip=True).count_params() == 15_210
    assert mnist1d_cnn((40,), 10).count_params() == 5_210
    assert mlp((28, 28), 10, hidden_units=(128, 128)).count_params() == 118_282
    # Printed in table 1 of Zhang et al. 2017, on crops of 28×28×3.
    assert mlp((28, 28, 3), 10, hidden_units=[512] * 3).count_params() == 1_735_178
    assert mlp((28, 28, 3), 10, hidden_units=[512]).count_params() == 1_209_866
    assert lenet5((28, 28, 1), 10).count_params() == 61_706
    assert lenet5((32, 32, 1), 10).count_params() == 61_706
    assert lenet5(CIFAR, 10).count_params() == 62_006
    assert mnist1d_cnn((40,), 10).get_layer("features").output.shape == (None, 125)


@pytest.mark.parametrize(
    ("depth", "printed", "exact"),
    [
        # Table 6 of He et al. 2016, in millions; exact: 97,216 n - 21,926, derived. The deeper
        # ones are among the rows of the generic suite.
        (20, 0.27, 269_722),
        (32, 0.46, 464_154),
    ],
)
def test_resnets_for_cifar(depth, printed, exact):
    model = resnet_cifar(CIFAR, 10, depth=depth)
    assert trainable(model) == exact == 97_216 * ((depth - 2) // 6) - 21_926
    assert round(exact / 1e6, 2) == printed
    assert sum("conv" in x.name and hasattr(x, "kernel") for x in model.layers) == depth - 2
    assert model.get_layer("features").output.shape == (None, 64)


def test_resnet_of_the_lottery_ticket_paper():
    model = resnet_cifar(CIFAR, 10, depth=20, shortcut="projection")
    # Printed as 271K weights; the sum of kernels is derived.
    assert trainable(model, kernels_only=True) == 270_896
    assert trainable(model) == 269_722 + 512 + 2048 + 2 * (32 + 64)


def test_preact_resnets():
    # Depth 18: printed, as above. Depth 34, derived: eight more blocks of depth 18's kind.
    deeper = sum(
        blocks * (2 * 9 * filters**2 + 4 * filters)
        for blocks, filters in zip((1, 2, 4, 1), (64, 128, 256, 512), strict=True)
    )
    assert trainable(preact_resnet(CIFAR, 10, depth=18)) == 11_171_146
    assert trainable(preact_resnet(CIFAR, 10, depth=34)) == 11_171_146 + deeper == 21_279_306
    assert trainable(preact_resnet(CIFAR, 10, final_norm=True)) == 11_171_146 + 2 * 512


def test_wide_resnet():
    # 36.5M is printed in table 5 of Zagoruyko and Komodakis.
    model = wide_resnet(CIFAR, 10)
    assert trainable(model) == 36_479_194
    assert model.get_layer("stage_1_block_4_add").output.shape == (None, 32, 32, 160)


@pytest.mark.parametrize("variant", ["original", "uncertainty_baselines", "manifold_mixup"])
def test_narrow_wide_resnets(variant):
    # Printed by the demonstration of Zhang et al. that its first author wrote. Biases, derived:
    # eight a block and channel, one a shortcut and channel, 16 for the first convolution. The first
    # stage has as many channels as the convolution before it, so no shortcut.
    biases = 16 + 8 * (16 + 32 + 64) + 32 + 64 if variant == "manifold_mixup" else 0
    assert trainable(wide_resnet(CIFAR, 10, width=1, variant=variant)) == 369_498 + biases


def test_densenets():
    # Table 2 of Huang et al. prints .8M for depth 100 with BC; depth 40 is derived.
    assert trainable(densenet(CIFAR, 10)) == 769_162
    layers = 24
    count = 3 * 9 * 24
    for block in range(3):
        for _ in range(6):
            count += 2 * layers + 48 * layers + 2 * 48 + 48 * 9 * 12
            layers += 12
        if block < 2:
            compressed = layers // 2
            count += 2 * layers + layers * compressed
            layers = compressed
    assert trainable(densenet(CIFAR, 10, depth=40)) == count + 2 * layers + 10 * layers + 10
    assert count + 12 * layers + 10 == 176_122


@pytest.mark.parametrize(
    ("depth", "exact"), [(11, 9_231_114), (13, 9_416_010), (16, 14_728_266), (19, 20_040_522)]
)
def test_vggs(depth, exact):
    # Derived; public implementations print the same, the lottery ticket paper 20M for depth 19.
    model = vgg(CIFAR, 10, depth=depth)
    convolutions = [x for x in model.layers if type(x).__name__ == "Conv2D"]
    assert trainable(model) == exact and len(convolutions) == depth - 3
    channels = sum(x.filters for x in convolutions)
    assert trainable(vgg(CIFAR, 10, depth=depth, batch_norm=False)) == exact - 2 * channels
    assert model.get_layer("features").output.shape == (None, 512)


@pytest.mark.parametrize(
    ("depth", "printed", "weights", "convolutions"),
    [
        # Figure 2 of Frankle and Carbin prints 4.3M / 38K, 2.4M / 260K and 1.7M / 1.1M. The total
        # of Conv-6 does not follow from its layers.
        (2, 4.3, 4_300_992, 38_592),
        (4, 2.4, 2_425_024, 259_776),
        (6, None, 2_261_184, 1_144_512),
    ],
)
def test_lottery_convnets(depth, printed, weights, convolutions):
    model = lottery_convnet(CIFAR, 10, depth=depth)
    assert trainable(model, kernels_only=True) == weights
    assert printed is None or round(weights / 1e6, 1) == printed
    assert convolutions == sum(
        math.prod(w.shape) for w in model.weights if "conv" in w.path and "kernel" in w.name
    )


def test_lenet_300_100():
    # 266K is printed by Frankle and Carbin; the ladder of the card divides by 266,200.
    model = lenet_300_100((28, 28), 10)
    assert trainable(model, kernels_only=True) == 266_200
    assert model.count_params() == 266_610


def test_transformer():
    # Power et al.: 4e5 non-embedding parameters; with the released vocabulary of 239, derived.
    model = transformer((5,), 239)
    assert trainable(model) == 455_424
    blocks = sum(math.prod(w.shape) for w in model.weights if w.path.startswith("block"))
    assert blocks == 394_240 == 455_424 - 2 * 239 * 128


def test_lstm():
    # Derived: 4 (n + u + 1) u in each direction.
    settings = {"width": 8, "vocabulary_size": 100, "embedding_width": 4}
    both = 2 * 4 * 8 * (4 + 8 + 1) + 2 * 4 * 8 * (16 + 8 + 1)
    assert trainable(lstm((20,), 2, **settings)) == 400 + both + 17 * 2
    one = lstm((20,), 2, depth=1, bidirectional=False, **settings)
    assert trainable(one) == 400 + 4 * 8 * (4 + 8 + 1) + 9 * 2
