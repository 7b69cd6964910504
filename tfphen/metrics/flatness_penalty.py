"""Relative flatness of a dense output layer as a term of a training loss."""

from keras import ops


def relative_flatness_penalty(features, kernel, bias=None):
    """Relative flatness κ_Tr of a softmax output layer, differentiable in all its arguments.

    The value of `relative_flatness`, see there, for a batch inside a training step:

        κ_Tr = 1/n sum_i ‖φ_i‖² ½ sum_{s,t} p_is p_it ‖w_s - w_t‖²,    p_i = softmax(z_i)

    Gradients flow to the kernel and the bias and, through φ, to the layers below; wrap `features`
    in `keras.ops.stop_gradient` to hold those out. Written with `keras.ops` alone: it runs on every
    backend, in compiled functions and under vectorization. The cost is O(n (m K + K²)), about that
    of the layer itself, where penalties by automatic differentiation build the layer's Hessian.

    Args:
        features: Inputs φ of the output layer, `[..., n, m]`, floats. 16-bit floats are computed
            in float32.
        kernel: Its weights as in `keras.layers.Dense`, `[..., m, K]`, K ≥ 2.
        bias: Its bias, `[..., K]`; None for a layer without one.

    Returns:
        κ_Tr of the batch, a tensor `[...]`. Scale it before it is added to a loss: it grows with
        ‖φ‖² ‖W‖², often to hundreds.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> penalty = relative_flatness_penalty([[1.0, 0.0], [0.0, 1.0]], [[1.0, -1.0], [0.0, 0.0]])
    >>> round(float(penalty), 4)  # ½ (4 p (1 - p) with p = sigmoid(2), and 4 ¼)
    0.71...

    An output layer that trains with it:

    >>> import keras
    >>> class FlatDense(keras.layers.Dense):
    ...     def call(self, inputs):
    ...         self.add_loss(0.01 * relative_flatness_penalty(inputs, self.kernel, self.bias))
    ...         return super().call(inputs)
    >>> layer = FlatDense(3)
    >>> logits = layer(keras.ops.ones((4, 8)))
    >>> len(layer.losses)
    1

    When not to use:
        As a measure to report: use `relative_flatness`, float64, on all training examples. A flat
        last layer is not by itself a network that generalizes: rescaling single neurons changes
        κ_Tr, so batch normalization before the layer changes what the penalty asks for.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939;
        L. Adilova et al., "FAM: Relative Flatness Aware Minimization", 2023, arXiv 2307.02337,
        who penalize it with a Hessian by automatic differentiation.
    """
    features, kernel = (_float(value) for value in (features, kernel))
    if (
        min(len(features.shape), len(kernel.shape)) < 2
        or features.shape[-1] != kernel.shape[-2]
        or kernel.shape[-1] < 2
    ):
        raise ValueError(
            "`features` must have shape (..., n, m) and `kernel` (..., m, K) with K ≥ 2. Received: "
            f"features.shape={tuple(features.shape)}, kernel.shape={tuple(kernel.shape)}"
        )
    dtype = features.dtype
    kernel = ops.cast(kernel, dtype)
    logits = ops.matmul(features, kernel)
    outputs = kernel.shape[-1]
    if bias is not None:
        bias = ops.cast(ops.convert_to_tensor(bias), dtype)
        if len(bias.shape) < 1 or bias.shape[-1] != outputs:
            raise ValueError(
                f"`bias` must be None or have shape (..., {outputs}), one entry for each column of "
                f"`kernel`. Received: bias.shape={tuple(bias.shape)}"
            )
        logits = logits + ops.expand_dims(bias, -2)
    # Differences of weights do not change when their mean is taken away; their products then lose
    # fewer digits, and no tensor of all differences, K × K × m, is needed.
    centered = kernel - ops.mean(kernel, axis=-1, keepdims=True)
    products = ops.matmul(ops.swapaxes(centered, -1, -2), centered)
    norms = ops.sum(ops.square(centered), axis=-2)
    distances = ops.expand_dims(norms, -1) + ops.expand_dims(norms, -2) - 2.0 * products
    # Rounding may leave the distance of a weight vector to itself a little beside zero.
    distances = distances * (1.0 - ops.eye(outputs, dtype=dtype))
    probabilities = ops.softmax(logits, axis=-1)
    pairs = ops.sum(ops.matmul(probabilities, distances) * probabilities, axis=-1)
    return ops.mean(0.5 * pairs * ops.sum(ops.square(features), axis=-1), axis=-1)


def _float(value):
    value = ops.convert_to_tensor(value)
    return (
        value
        if "64" in str(value.dtype) and "float" in str(value.dtype)
        else ops.cast(value, "float32")
    )
