"""What the models compute, against NumPy and against the papers' description of their blocks."""

import math

import keras
import numpy as np
import pytest

from tfphen.models.dense_models import lenet_300_100
from tfphen.models.densenet import densenet
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet


def inputs_of(model, count=3, seed=0):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def part(model, *names):
    """The outputs of layers, as a function of the inputs. Returns arrays."""
    made = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return lambda x, **settings: [np.asarray(y) for y in made(x, **settings)]


def weights_of(model):
    return {w.path: np.asarray(w.value, "float64") for w in model.weights}


def convolution(x, kernel, stride=1, padding=0):
    """NumPy: sums over windows, padded by as many zeros on both sides."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    size = kernel.shape[0]
    rows, columns = ((n - size) // stride + 1 for n in x.shape[1:3])
    out = np.zeros((len(x), rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.tensordot(window, kernel, 3)
    return out


def norm(x, weights, name, epsilon=1e-5):
    """Batch normalization in inference."""
    mean, variance = weights[f"{name}/moving_mean"], weights[f"{name}/moving_variance"]
    scaled = (x - mean) / np.sqrt(variance + epsilon)
    return scaled * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def randomize(model, seed=0):
    """Gives every weight a value of its own, so that no normalization is the identity."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = generator.uniform(0.5, 1.5, weight.shape)
        if "kernel" in weight.name:
            values = generator.normal(size=weight.shape) / math.sqrt(math.prod(weight.shape[:-1]))
        weight.assign(values)


@pytest.mark.parametrize("final_norm", [False, True])
def test_preact_block_and_end(final_norm):
    model = preact_resnet((8, 8, 3), 4, width=2, final_norm=final_norm, defaults="torch")
    randomize(model)
    w, x = weights_of(model), inputs_of(model)
    names = ["stage_1_block_2_add", "stage_2_block_1_add", "stage_4_block_2_add", "features"]
    before, after, last, features = part(model, *names)(x)
    block = "stage_2_block_1"
    active = np.maximum(norm(before, w, f"{block}_norm_1"), 0)
    shortcut = convolution(active, w[f"{block}_shortcut/kernel"], 2)
    inner = convolution(active, w[f"{block}_conv_1/kernel"], 2, 1)
    inner = np.maximum(norm(inner, w, f"{block}_norm_2"), 0)
    expected = shortcut + convolution(inner, w[f"{block}_conv_2/kernel"], 1, 1)
    np.testing.assert_allclose(after, expected, atol=1e-4)
    last = np.maximum(norm(last, w, "final_norm"), 0) if final_norm else last
    np.testing.assert_allclose(features, last.mean((1, 2)), atol=1e-4)


def test_resnet18_is_the_preact_resnet():
    one = resnet18((8, 8, 3), 4, width=2, defaults="torch", seed=3)
    other = preact_resnet((8, 8, 3), 4, depth=18, width=2, defaults="torch", seed=3)
    assert [w.path for w in one.weights] == [w.path for w in other.weights]
    for mine, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    smaller = preact_resnet((8, 8, 3), 4, width=2, stem_strides=2)
    assert smaller.get_layer("stage_1_block_1_add").output.shape == (None, 4, 4, 2)


@pytest.mark.parametrize("size", [7, 8])
def test_shortcuts_of_zeros(size):
    model = resnet_cifar((size, size, 3), 4, depth=8, width=3, defaults="torch")
    randomize(model)
    block = model.get_layer("stage_2_block_1_conv_2_norm")
    block.gamma.assign(np.zeros(6))
    block.beta.assign(np.zeros(6))
    names = ("stage_1_block_1_relu", "stage_2_block_1_add")
    before, after = part(model, *names)(inputs_of(model))
    # As in the paper's CIFAR networks: every second pixel, half of the zeros on each side.
    np.testing.assert_array_equal(after[..., 1:4], before[:, ::2, ::2])
    assert not after[..., :1].any() and not after[..., 4:].any()


@pytest.mark.parametrize("shortcut", ["zeros", "projection"])
def test_block_of_the_resnet_for_cifar(shortcut):
    model = resnet_cifar((8, 8, 3), 4, depth=8, width=2, shortcut=shortcut, defaults="torch")
    randomize(model)
    w, x = weights_of(model), inputs_of(model)
    before, after, features = part(
        model, "stage_1_block_1_relu", "stage_2_block_1_relu", "features"
    )(x)
    block = "stage_2_block_1"
    inner = convolution(before, w[f"{block}_conv_1/kernel"], 2, 1)
    inner = np.maximum(norm(inner, w, f"{block}_conv_1_norm"), 0)
    inner = convolution(inner, w[f"{block}_conv_2/kernel"], 1, 1)
    inner = norm(inner, w, f"{block}_conv_2_norm")
    same = np.pad(before[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (1, 1)))
    if shortcut == "projection":
        same = norm(
            convolution(before, w[f"{block}_shortcut/kernel"], 2), w, f"{block}_shortcut_norm"
        )
    np.testing.assert_allclose(after, np.maximum(inner + same, 0), atol=1e-4)
    assert features.shape == (3, 8)


@pytest.mark.parametrize("variant", ["original", "uncertainty_baselines", "manifold_mixup"])
def test_block_of_the_wide_resnet(variant):
    model = wide_resnet((8, 8, 3), 4, depth=10, width=1, variant=variant, defaults="torch")
    randomize(model)
    w, x = weights_of(model), inputs_of(model)
    before, after = part(model, "stage_1_block_1_add", "stage_2_block_1_add")(x)
    block = "stage_2_block_1"
    first, second = (1, 2) if variant == "manifold_mixup" else (2, 1)
    bias = {n: w.get(f"{block}_{n}/bias", 0.0) for n in ("conv_1", "conv_2", "shortcut")}
    assert np.any(bias["conv_1"]) == (variant == "manifold_mixup")
    active = np.maximum(norm(before, w, f"{block}_conv_1_norm"), 0)
    if variant == "uncertainty_baselines":
        # With strides TensorFlow pads at the end alone.
        padded = np.pad(active, ((0, 0), (0, 1), (0, 1), (0, 0)))
        inner = convolution(padded, w[f"{block}_conv_1/kernel"], 2)
    else:
        inner = convolution(active, w[f"{block}_conv_1/kernel"], first, 1)
    inner = np.maximum(norm(inner + bias["conv_1"], w, f"{block}_conv_2_norm"), 0)
    inner = convolution(inner, w[f"{block}_conv_2/kernel"], second, 1) + bias["conv_2"]
    start = active if variant == "original" else before
    shortcut = convolution(start, w[f"{block}_shortcut/kernel"], 2) + bias["shortcut"]
    np.testing.assert_allclose(after, inner + shortcut, atol=1e-3)
    assert model.get_layer("final_norm").momentum == (0.1 if variant == "manifold_mixup" else 0.9)


def test_dropout_of_the_wide_resnets():
    plain = wide_resnet((8, 8, 3), 4, depth=10, width=1, dropout=0.5)
    names = [x.name for x in plain.layers if isinstance(x, keras.layers.Dropout)]
    assert names == [f"stage_{i}_block_1_dropout_2" for i in (1, 2, 3)]
    whole = wide_resnet(
        (8, 8, 3), 4, depth=10, width=1, dropout=0.5, variant="uncertainty_baselines"
    )
    kinds = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
    found = [x for x in whole.layers if isinstance(x, kinds)]
    # Behind the stem, twice in each block, and before the sum of the two that change the shape.
    assert len(found) == 9 and all(isinstance(x, keras.layers.SpatialDropout2D) for x in found)
    assert len({x.seed for x in found}) == 9
    inputs, outputs = part(whole, "conv", "dropout")(inputs_of(whole), training=True)
    kept = np.abs(outputs).max((1, 2)) > 0
    expected = 2 * inputs * kept[:, None, None]
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    assert 0.2 < kept.mean() < 0.8


def test_step_and_transition_of_the_densenet():
    model = densenet((8, 8, 3), 4, depth=10, growth_rate=3, defaults="torch")
    randomize(model)
    w, x = weights_of(model), inputs_of(model)
    names = ("conv", "block_1_step_1_concatenate", "transition_1_pool")
    before, after, pooled = part(model, *names)(x)
    inner = np.maximum(norm(before, w, "block_1_step_1_bottleneck_norm"), 0)
    inner = convolution(inner, w["block_1_step_1_bottleneck/kernel"])
    inner = np.maximum(norm(inner, w, "block_1_step_1_conv_norm"), 0)
    inner = convolution(inner, w["block_1_step_1_conv/kernel"], 1, 1)
    np.testing.assert_allclose(after, np.concatenate([before, inner], -1), atol=1e-4)
    inner = np.maximum(norm(after, w, "transition_1_norm"), 0)
    inner = convolution(inner, w["transition_1/kernel"])
    assert inner.shape[-1] == 4  # half of 6 + 3 channels
    np.testing.assert_allclose(pooled, inner.reshape(3, 4, 2, 4, 2, 4).mean((2, 4)), atol=1e-4)


def test_end_of_the_vggs():
    x = None
    for last_pooling in ("max", "average"):
        model = vgg((32, 32, 3), 4, depth=11, width=2, last_pooling=last_pooling)
        x = inputs_of(model) if x is None else x
        relu, features = part(model, "group_5_conv_2_relu", "features")(x)
        expected = relu.max((1, 2)) if last_pooling == "max" else relu.mean((1, 2))
        np.testing.assert_allclose(features, expected, atol=1e-6)
    assert vgg((64, 64), 4, depth=11, width=2).get_layer("pool_5").output.shape[1:3] == (2, 2)


def test_lottery_networks_start_as_published():
    for model in (lottery_convnet((16, 16, 3), 4, depth=2), lenet_300_100((28, 28), 10)):
        for weight in model.weights:
            values = np.asarray(weight.value)
            if "bias" in weight.name:
                assert not values.any()
            elif values.size > 1000:
                fan_in = math.prod(values.shape[:-1])
                fan_out = values.size // (values.shape[-2])
                assert abs(values.std() / math.sqrt(2 / (fan_in + fan_out)) - 1) < 0.1
