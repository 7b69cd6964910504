"""A small decoder-only transformer."""

import keras
import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Tensor
from tfphen.models.layer_defaults import (
    LayerDefaults,
    classifier,
    token_inputs,
)


def sinusoidal_positions(steps: int, width: int) -> np.ndarray:
    """Returns the fixed encoding of positions, `[steps, width]`, float32.

    Entry (t, 2i) is sin(t / 10000^(2i / width)), entry (t, 2i + 1) the cosine of the same.
    """
    even = np.arange(width) // 2 * 2
    angles = np.arange(steps)[:, None] / 10000.0 ** (even / width)
    return np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles)).astype("float32")


def _attention(make: LayerDefaults, x: Tensor, heads: int, name: str) -> Tensor:
    """Causal self-attention without biases.

    Dense layers, not one `MultiHeadAttention`: that starts its four kernels alike from a seeded
    initializer, and counts the heads into their fan in.
    """
    steps, width = x.shape[1:]
    parts = []
    for part in ("query", "key", "value"):
        projected = make.dense(width, x, f"{name}_{part}", use_bias=False)
        split = keras.layers.Reshape((steps, heads, width // heads), name=f"{name}_{part}_heads")
        parts.append(split(projected))
    attended = keras.ops.dot_product_attention(*parts, is_causal=True)
    attended = keras.layers.Reshape((steps, width), name=f"{name}_heads")(attended)
    return make.dense(width, attended, f"{name}_output", use_bias=False)


def transformer(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 2,
    width: int = 128,
    heads: int = 4,
    vocabulary_size: int | None = None,
    dropout: float = 0.0,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "transformer",
) -> keras.Model:
    """The decoder-only transformer of the grokking experiments, which predicts at the last
    position.

    Token embeddings of k numbers, plus sines and cosines of the position; `depth` blocks

        a = norm(x + attention(x)),   x ← norm(a + W₂ relu(W₁ a))

    with layer normalization after the sum, causal attention of `heads` heads of k / heads numbers
    each, 4k units in between and no biases; then a linear map without bias, not tied to the
    embeddings, of the last position. Without the vocabulary, k = 128 and depth 2 have 394,240
    weights (the paper says 4e5 non-embedding parameters); with the 239 tokens of the released code
    as inputs and outputs 455,424.

    Attention in Keras's own `MultiHeadAttention` has the same mathematics; here it is made of dense
    layers, so that each kernel has initial values of its own.

    Args:
        input_shape: `(steps,)`: token ids, such as five of them for "EOS a op b =".
        num_classes: Number of logits. The published network predicts any token.
        depth: Number of blocks.
        width: Numbers k that represent a token, a multiple of `heads`.
        heads: Heads of each attention layer.
        vocabulary_size: Number of different input tokens; None for `num_classes`.
        dropout: Rate of dropout in each block, after W₂, in [0, 1). Published with 0 and .1.
        defaults: `"torch"`, as published: embeddings N(0, 1), kernels uniform in ±1/sqrt(fan in),
            epsilon 1e-5 in the normalization. `"keras"`: embeddings uniform in ±.05, Glorot's
            uniform kernels, epsilon 1e-3. Grokking depends on these.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of integer tokens `[batch, steps]`, each below `vocabulary_size`, that gives logits
        `[batch, num_classes]`. Its layer `"features"` holds the last position, `[batch, width]`.

    Raises:
        UsageError: Inputs of another shape; a count below one; a `width` that is not a multiple of
            `heads`; a `dropout` outside [0, 1); an unknown `defaults`.

    Example:

    >>> model = transformer((5,), 239, defaults="torch")
    >>> model.count_params(), model.get_layer("features").output.shape
    (455424, (None, 128))

    When not to use:
        Text generation: only the last position is predicted. Long sequences: attention holds steps²
        numbers per head and example, and there is no mask for padding.

    Reference:
        A. Power, Y. Burda, H. Edwards, I. Babuschkin, V. Misra, "Grokking: Generalization Beyond
        Overfitting on Small Algorithmic Datasets", arXiv 2201.02177; V. Thilak et al., "The
        Slingshot Mechanism", arXiv 2206.04817; A. Vaswani et al., "Attention Is All You Need",
        NeurIPS 2017, arXiv 1706.03762 (positions, section 3.5).
    """
    checks.wholes(num_classes=num_classes, depth=depth, width=width, heads=heads)
    vocabulary_size = num_classes if vocabulary_size is None else vocabulary_size
    checks.wholes(vocabulary_size=vocabulary_size)
    if width % heads:
        raise UsageError(
            f"`width` must be a multiple of `heads`. Received: width={width}, heads={heads}"
        )
    checks.number("dropout", dropout, 0, 1, high_open=True)
    make = LayerDefaults(defaults, seed)
    inputs = token_inputs(input_shape, "transformer")
    x = make.embedding(vocabulary_size, width, inputs, "embedding")
    steps = input_shape[0]
    x = keras.ops.add(x, sinusoidal_positions(steps, width))
    for number in range(1, depth + 1):
        part = f"block_{number}"
        inner = _attention(make, x, heads, f"{part}_attention")
        x = keras.layers.Add(name=f"{part}_attention_add")([x, inner])
        x = make.layer_normalization(x, f"{part}_attention_norm")
        inner = make.dense(4 * width, x, f"{part}_hidden", use_bias=False, activation="relu")
        inner = make.dense(width, inner, f"{part}_hidden_output", use_bias=False)
        if dropout:
            inner = make.dropout(dropout, inner, f"{part}_dropout")
        x = keras.layers.Add(name=f"{part}_hidden_add")([x, inner])
        x = make.layer_normalization(x, f"{part}_hidden_norm")
    x = keras.layers.Cropping1D((steps - 1, 0), name="last_position")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, classifier(x, num_classes, make, use_bias=False), name=name)
