"""What the transformer and the LSTM classifier compute, against NumPy."""

import math

import keras
import numpy as np
import pytest

from tfphen.models.recurrent import lstm
from tfphen.models.transformer import sinusoidal_positions, transformer


def part(model, *names):
    """The outputs of layers, as a function of the inputs. Returns arrays."""
    made = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return lambda x, **settings: [np.asarray(y) for y in made(x, **settings)]


def weights_of(model):
    return {w.path: np.asarray(w.value, "float64") for w in model.weights}


def randomize(model, seed=0):
    """Gives every weight a value of its own, so that no normalization is the identity."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = generator.uniform(0.5, 1.5, weight.shape)
        if "kernel" in weight.name:
            values = generator.normal(size=weight.shape) / math.sqrt(math.prod(weight.shape[:-1]))
        weight.assign(values)


def test_positions_are_sines_and_cosines():
    table = sinusoidal_positions(7, 5)
    for step in range(7):
        for i in range(5):
            angle = step / 10000 ** ((i - i % 2) / 5)
            expected = math.cos(angle) if i % 2 else math.sin(angle)
            assert abs(table[step, i] - expected) < 1e-6


def layer_norm(x, w, name, epsilon):
    centered = x - x.mean(-1, keepdims=True)
    scaled = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + epsilon)
    return scaled * w[f"{name}/gamma"] + w[f"{name}/beta"]


def softmax(x):
    values = np.exp(x - x.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
def test_transformer(defaults):
    model = transformer((5,), 6, width=8, heads=2, vocabulary_size=9, defaults=defaults)
    randomize(model)
    w = weights_of(model)
    tokens = np.random.default_rng(1).integers(0, 9, (4, 5))
    x = w["embedding/embeddings"][tokens] + sinusoidal_positions(5, 8)
    epsilon = 1e-5 if defaults == "torch" else 1e-3
    for number in (1, 2):
        block = f"block_{number}"
        q, k, v = (x @ w[f"{block}_attention_{n}/kernel"] for n in ("query", "key", "value"))
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = q[..., head] @ k[..., head].swapaxes(1, 2) / math.sqrt(4)
            scores = np.where(np.tri(5, dtype=bool), scores, -np.inf)
            heads.append(softmax(scores) @ v[..., head])
        attended = np.concatenate(heads, -1) @ w[f"{block}_attention_output/kernel"]
        x = layer_norm(x + attended, w, f"{block}_attention_norm", epsilon)
        inner = np.maximum(x @ w[f"{block}_hidden/kernel"], 0)
        inner = inner @ w[f"{block}_hidden_output/kernel"]
        x = layer_norm(x + inner, w, f"{block}_hidden_norm", epsilon)
    features, logits = part(model, "features", "logits")(tokens)
    np.testing.assert_allclose(features, x[:, -1], atol=1e-4)
    np.testing.assert_allclose(logits, x[:, -1] @ w["logits/kernel"], atol=1e-4)


def test_transformer_starts_as_in_pytorch():
    model = transformer((5,), 97, vocabulary_size=200, defaults="torch")
    w = weights_of(model)
    assert abs(w["embedding/embeddings"].std() - 1) < 0.02
    for path, values in w.items():
        if path.endswith("kernel"):
            bound = 1 / math.sqrt(values.shape[0])
            assert 0.99 * bound < np.abs(values).max() <= bound
    assert not [path for path in w if "bias" in path]


def test_lstm():
    settings = {"depth": 1, "width": 3, "vocabulary_size": 9, "embedding_width": 2}
    model = lstm((4,), 2, bidirectional=False, **settings)
    randomize(model)
    w = weights_of(model)
    paths = {path.split("/")[-1]: values for path, values in w.items() if "lstm" in path}
    tokens = np.random.default_rng(1).integers(0, 9, (5, 4))
    state = memory = np.zeros((5, 3))
    for step in w["embedding/embeddings"][tokens].swapaxes(0, 1):
        gates = step @ paths["kernel"] + state @ paths["recurrent_kernel"] + paths["bias"]
        let_in, forget, new, out = np.split(gates, 4, -1)
        let_in, forget, out = (1 / (1 + np.exp(-g)) for g in (let_in, forget, out))
        memory = forget * memory + let_in * np.tanh(new)
        state = out * np.tanh(memory)
    features, _ = part(model, "features", "logits")(tokens)
    np.testing.assert_allclose(features, state, atol=1e-5)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
def test_directions_and_loops_of_the_lstm(defaults):
    settings = {"width": 3, "vocabulary_size": 9, "embedding_width": 2, "defaults": defaults}
    model, unrolled = lstm((4,), 2, **settings), lstm((4,), 2, unroll=True, **settings)
    tokens = np.random.default_rng(1).integers(0, 9, (5, 4))
    outputs = np.asarray(model(tokens))
    np.testing.assert_allclose(np.asarray(unrolled(tokens)), outputs, atol=1e-6)
    w = weights_of(model)
    kernels = [path for path in w if "forward" in path and "kernel" in path]
    assert len(kernels) == 4
    for forward in kernels:
        assert np.any(w[forward] != w[forward.replace("forward", "backward")])
    for bias in (values for path, values in w.items() if "lstm" in path and "bias" in path):
        if defaults == "torch":
            assert 0 < np.abs(bias).max() <= 1 / math.sqrt(3)
        else:
            np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 3))
    assert model.get_layer("features").output.shape == (None, 6)
