"""Relative flatness of any layer of a Keras model, by Hessian-vector products."""

import numbers
from typing import NamedTuple

import numpy as np

from tfphen.metrics.hessian_products import compiled_hessian_products
from tfphen.metrics.probabilities import host_array


class LayerFlatness(NamedTuple):
    """Relative flatness of one layer.

    Attributes:
        value: κ_Tr, in units of the loss.
        standard_error: Of `value` over the draws; 0 for the exact method, NaN for a single draw.
        num_products: Number of Hessian-vector products it took.
    """

    value: float
    standard_error: float
    num_products: int


def relative_flatness_of_layer(
    model,
    layer,
    inputs,
    labels,
    loss=None,
    method="exact",
    num_draws=100,
    normalize=False,
    batch_size=256,
    products_at_once=64,
    seed=0,
):
    """Relative flatness κ_Tr of any dense or convolutional layer of a Keras model.

    With the layer's weights as a matrix W, K outputs × m inputs, and H the Hessian of the mean
    loss in W, for any model and any loss that can be differentiated twice:

        κ_Tr = sum_{s,t=1..K} <w_s, w_t> Tr(H_{s,t}) = E_A <W A, H[W A]>,    E[A A^T] = I

    Exact: with the singular value decomposition W = sum_r σ_r u_r v_r^T the sum is
    sum_{r,j} σ_r² <u_r e_j^T, H[u_r e_j^T]>, which takes rank(W) m Hessian-vector products.
    Monte Carlo: with entries ±1 in Z, rank(W) × m, the mean of <D, H[D]> over D = U Σ Z, one
    product a draw. This is W A for A = V Z (D has the law of W A wherever A is Gaussian), without
    drawing an m × m matrix.

    For a convolution, w_s is the filter of output channel s, flattened: m = window size × input
    channels, and the inputs that W multiplies are the patches. The loss is taken in inference mode,
    without regularization losses. For a dense layer that ends a network trained on cross-entropy,
    `relative_flatness` gives the same number in closed form, thousands of times faster.

    Args:
        model: A built `keras.Model`.
        layer: A layer of it with a `kernel` whose last axis holds the outputs (`Dense`, `Conv1D`
            to `Conv3D` with one group), its name, or such a variable of the model.
        inputs: Examples, `[n, ...]`, or a structure of arrays for a model of several inputs.
        labels: What `loss` takes as `y_true`, `[n, ...]`.
        loss: A `keras.losses.Loss`, its name, or a function of `y_true` and `y_pred` that gives one
            loss an example. Averaged over examples, whatever the reduction of a `Loss`. None for
            cross-entropy of integer labels with logits.
        method: `"exact"` or `"monte_carlo"`.
        num_draws: Draws of the Monte-Carlo method.
        normalize: Divide by m.
        batch_size: Examples in one pass. More are faster and take more memory.
        products_at_once: Vectors handed over at once; JAX multiplies memory by this.
        seed: Of the draws.

    Returns:
        A `LayerFlatness`. May be negative away from a minimum, except for layers on whose outputs
        the loss depends convexly. In the precision of the model: float32 has about five digits.

    Raises:
        ValueError: A layer without such a kernel, or not of this model; an unknown `method`; a loss
            that does not give one value an example; counts below 1; a backend without automatic
            differentiation.

    Example:

    >>> import keras, numpy
    >>> dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    >>> model = keras.Sequential([keras.Input((2,)), dense])
    >>> examples, targets = numpy.ones((4, 2)), numpy.zeros((4, 1))
    >>> found = relative_flatness_of_layer(model, dense, examples, targets, "mean_squared_error")
    >>> round(found.value, 4), found.num_products  # 2 ‖w‖² mean ‖x‖²
    (8.0, 2)

    When not to use:
        The exact method on large layers: a 3 × 3 convolution of 512 channels takes 2.4 million
        products, a hundred draws mostly an error of a few percent.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939,
        definition 3.
    """
    import keras

    if method not in ("exact", "monte_carlo"):
        raise ValueError(f'`method` must be "exact" or "monte_carlo". Received: method={method!r}')
    for name, number in (
        ("num_draws", num_draws),
        ("batch_size", batch_size),
        ("products_at_once", products_at_once),
    ):
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={number}")
    kernel = _kernel_of(model, layer)
    directions, columns = _directions(kernel, method, num_draws, seed)
    size = int(np.prod(kernel.shape[:-1]))
    if not columns:
        return LayerFlatness(0.0, 0.0, 0)
    program = compiled_hessian_products(_loss_of_kernel(model, kernel, _per_example(loss)))
    weights = [
        [keras.ops.convert_to_tensor(v.value) for v in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    batches = list(_batches(inputs, labels, batch_size))
    point = host_array(kernel, "kernel")
    point = point.astype("float64" if kernel.dtype == "float64" else "float32")
    count = num_draws if method == "monte_carlo" else size * columns
    forms = np.zeros(count)
    at_once = min(products_at_once, count)
    for first in range(0, count, at_once):
        rows = np.arange(first, min(first + at_once, count))
        vectors = directions(rows)
        # Padded, so that one program serves all stacks.
        padded = np.pad(vectors, ((0, at_once - len(rows)), (0, 0), (0, 0)))
        stack = padded.reshape(at_once, *kernel.shape).astype(point.dtype)
        for batch in batches:
            products = program(point, stack, *weights, *batch)
            products = products.reshape(padded.shape)[: len(rows)].astype("float64")
            forms[rows] += (vectors * products).sum((1, 2))
    if normalize:
        forms /= size
    if method == "exact":
        return LayerFlatness(float(forms.sum()), 0.0, count)
    error = float(forms.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return LayerFlatness(float(forms.mean()), error, count)


def _kernel_of(model, layer):
    """Returns the variable that a layer, a name or the variable itself means, after checks."""
    import keras

    found = model.get_layer(layer) if isinstance(layer, str) else layer
    kernel = found if isinstance(found, keras.Variable) else getattr(found, "kernel", None)
    grouped = getattr(found, "groups", 1) != 1
    depthwise = getattr(found, "depth_multiplier", None) is not None
    if not isinstance(kernel, keras.Variable) or len(kernel.shape) < 2 or grouped or depthwise:
        raise ValueError(
            "`layer` must have a `kernel` variable whose last axis holds the outputs: a Dense or "
            "convolution layer, built, with one group and no LoRA. "
            f"Received: layer={layer!r}"
        )
    if not any(kernel is variable for variable in model.variables):
        raise ValueError(
            "`layer` must be part of `model`, not of another copy of it. "
            f"Received: layer={layer!r}, model={model.name!r}"
        )
    return kernel


def _directions(kernel, method: str, num_draws: int, seed: int):
    """Returns a function from numbers of directions to them, `[count, m, K]`, and rank(W)."""
    outputs = kernel.shape[-1]
    matrix = host_array(kernel, "kernel").astype("float64").reshape(-1, outputs)
    left, singular, _ = np.linalg.svd(matrix.T, full_matrices=False)
    kept = singular > singular[0] * max(matrix.shape) * np.finfo("float64").eps
    scaled = left[:, kept] * singular[kept]  # [K, rank]: sum_r of outer products is W W^T
    size, rank = len(matrix), int(kept.sum())

    def units(rows):
        chosen = np.zeros((len(rows), size, outputs))
        chosen[np.arange(len(rows)), rows // rank] = scaled.T[rows % rank]
        return chosen

    # Each draw has a generator of its own, so that the number in a stack changes nothing.
    seeds = np.random.SeedSequence(seed).spawn(num_draws) if method == "monte_carlo" else []

    def drawn(rows):
        signs = [np.random.default_rng(seeds[row]).integers(0, 2, (size, rank)) for row in rows]
        return (2.0 * np.stack(signs) - 1.0) @ scaled.T

    return (units if method == "exact" else drawn), rank


def _per_example(loss):
    """Returns a function of labels and outputs that gives one loss an example."""
    import keras

    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    elif isinstance(loss, str):
        loss = keras.losses.get(loss)
    # `call` is the loss before its reduction, in the precision of the predictions.
    return loss.call if isinstance(loss, keras.losses.Loss) else loss


def _loss_of_kernel(model, kernel, per_example):
    """Returns the weighted loss of a batch as a function of one kernel of the model."""
    from keras import ops

    def function(value, trainable, non_trainable, inputs, labels, weights):
        groups = [
            [value if variable is kernel else other for variable, other in zip(*pair, strict=True)]
            for pair in (
                (model.trainable_variables, trainable),
                (model.non_trainable_variables, non_trainable),
            )
        ]
        outputs, _ = model.stateless_call(*groups, inputs, training=False)
        losses = ops.convert_to_tensor(per_example(labels, outputs))
        if len(losses.shape) < 1 or losses.shape[0] != weights.shape[0]:
            raise ValueError(
                "`loss` must give one value an example, [n, ...]; leave the mean to this function. "
                f"Received: loss with values of shape {tuple(losses.shape)}"
            )
        losses = ops.mean(ops.reshape(losses, (weights.shape[0], -1)), axis=-1)
        return ops.sum(losses * ops.cast(weights, losses.dtype))

    return function


def _batches(inputs, labels, batch_size: int):
    """Yields inputs, labels and weights that sum to 1 over all batches, tensors of equal shapes."""
    import keras

    def array(value, name="inputs"):
        value = host_array(value, name)
        narrow = {"i": "int32", "u": "int32"}
        return value.astype(narrow.get(value.dtype.kind, value.dtype))

    # A list of numbers is one input, not a structure of as many.
    plain = all(isinstance(leaf, numbers.Number) for leaf in keras.tree.flatten(inputs))
    inputs = array(inputs) if plain else keras.tree.map_structure(array, inputs)
    labels = array(labels, "labels")
    count = len(labels)
    lengths = {len(value) for value in keras.tree.flatten(inputs)}
    if lengths != {count} or not count:
        raise ValueError(
            "`labels` must have one entry for each example of `inputs`, and at least one. "
            f"Received: {count} labels, inputs of {sorted(lengths)} examples"
        )
    batch_size = min(batch_size, count)
    for first in range(0, count, batch_size):
        rows = np.arange(first, first + batch_size)
        weights = (rows < count) / count
        # Rows beyond the end repeat the last example with weight 0.
        rows = np.minimum(rows, count - 1)
        parts = keras.tree.map_structure(lambda value, rows=rows: value[rows], (inputs, labels))
        tensors = (*parts, weights.astype("float32"))
        yield keras.tree.map_structure(keras.ops.convert_to_tensor, tensors)
