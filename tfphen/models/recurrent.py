"""Recurrent networks for sequences of tokens."""

import math
from typing import Any

import keras

from tfphen.core import checks
from tfphen.models.layer_defaults import (
    InitializerSetting,
    LayerDefaults,
    classifier,
    seeded_initializer,
    token_inputs,
)


def _direction(make: LayerDefaults, width: int, name: str, **settings: Any) -> keras.layers.LSTM:
    """One direction of a layer, with seeds of its own."""
    kernel: InitializerSetting = "glorot_uniform"
    recurrent: InitializerSetting = "orthogonal"
    bias: InitializerSetting = "zeros"
    if make.torch:
        bound = 1.0 / math.sqrt(width)
        kernel = recurrent = bias = {"name": "random_uniform", "minval": -bound, "maxval": bound}
    return keras.layers.LSTM(
        width,
        kernel_initializer=seeded_initializer(kernel, make.next_seed()),
        recurrent_initializer=seeded_initializer(recurrent, make.next_seed()),
        bias_initializer=seeded_initializer(bias, make.next_seed()),
        unit_forget_bias=not make.torch,
        seed=make.next_seed(),
        name=name,
        **settings,
    )


def lstm(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 2,
    width: int = 128,
    vocabulary_size: int = 10_000,
    embedding_width: int = 128,
    bidirectional: bool = True,
    dropout: float = 0.0,
    unroll: bool = False,
    head: str = "linear",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "lstm",
) -> keras.Model:
    """A text classifier: embeddings, LSTM layers, one dense layer on the last state.

    With n inputs and u units a layer has, in each direction, 4 (n + u + 1) u weights. The published
    IMDB experiments of LDAM have two bidirectional layers; their widths are not printed.

    Args:
        input_shape: `(steps,)`: token ids. Shorter texts are padded in front, so that the state at
            the end has read the text last.
        num_classes: Number of logits.
        depth: Number of LSTM layers.
        width: Units u of each layer and direction.
        vocabulary_size: Number of different tokens, padding included.
        embedding_width: Numbers that represent a token.
        bidirectional: Whether each layer also reads backwards; the two halves lie side by side.
        dropout: Rate of dropout after the embeddings and after each layer, in [0, 1).
        unroll: Write the steps out instead of looping, in this Keras model: a population of models
            loops either way. For some hundred steps the graph becomes very large.
        head: `"linear"`, or `"cosine"` for logits that are cosines between features and columns of
            the kernel, as LDAM takes them: a `tfphen.layers.NormalizedDense`.
        defaults: `"keras"`: Glorot's uniform kernels, orthogonal recurrent ones, biases 0 and 1 for
            the forget gate. `"torch"`: all uniform in ±1/sqrt(units); PyTorch adds two such biases
            where Keras has one.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of integer tokens `[batch, steps]`, each below `vocabulary_size`, that gives logits
        `[batch, num_classes]`. Its layer `"features"` holds the last state of the last layer,
        `[batch, width]`, or twice that; backwards, that is the state after the first token.

    Raises:
        UsageError: Inputs of another shape; a count below one; a `dropout` outside [0, 1); an
            unknown `head` or `defaults`.

    Example:

    >>> model = lstm((20,), 2, width=8, vocabulary_size=100, embedding_width=4)
    >>> model.count_params(), model.get_layer("features").output.shape
    (2866, (None, 16))

    When not to use:
        Texts padded behind: there is no mask, so the forward state ends on the padding. Large
        collections: a `transformer` encoder or bags of words train far faster.

    Reference:
        S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997; K. Cao
        et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS
        2019, arXiv 1906.07413, section 4.1 (IMDB).
    """
    checks.wholes(
        depth=depth,
        width=width,
        vocabulary_size=vocabulary_size,
        embedding_width=embedding_width,
    )
    checks.number("dropout", dropout, 0, 1, high_open=True)
    make = LayerDefaults(defaults, seed)
    inputs = token_inputs(input_shape, "lstm")
    x = make.embedding(vocabulary_size, embedding_width, inputs, "embedding")
    if dropout:
        x = make.dropout(dropout, x, "embedding_dropout")
    for number in range(1, depth + 1):
        part = f"lstm_{number}"
        settings = {"return_sequences": number < depth, "unroll": unroll}
        layer = _direction(make, width, part, **settings)
        if bidirectional:
            # Left to itself `Bidirectional` copies the layer with its seeds; it names the first.
            backward = _direction(make, width, f"backward_{part}", go_backwards=True, **settings)
            layer = keras.layers.Bidirectional(layer, backward_layer=backward, name=part)
        x = layer(x)
        if dropout:
            x = make.dropout(dropout, x, f"{part}_dropout")
    return keras.Model(inputs, classifier(x, num_classes, make, head), name=name)
