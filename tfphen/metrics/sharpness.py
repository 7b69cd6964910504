"""Measures of sharpness that relative flatness is compared with: trace, eigenvalue, Fisher-Rao."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import softmax

from tfphen.core import checks
from tfphen.metrics.last_layer import LastLayer, checked_last_layer, output_curvature, value_of
from tfphen.metrics.probabilities import check_same_rows, labels_and_probabilities
from tfphen.metrics.relative_flatness import largest_eigenvalue


def hessian_trace(features, kernel, bias, labels, loss="crossentropy"):
    """Trace of the Hessian of the mean loss in the weights of the last layer, in closed form.

        Tr(H) = 1/n sum_i ‖φ_i‖² (1 - ‖p_i‖²)                                     (cross-entropy)
              = 2 K 1/n sum_i ‖φ_i‖²                                              (squared error)
              = 1/n sum_i ‖φ_i‖² p_i (1 - p_i)                                    (binary)

    with p_i = softmax(z_i), or sigmoid(z_i) for binary labels; the bias is not among the weights.
    Multiplying the layer by c and its features by 1/c divides the trace by c² though the network
    stays the same: `relative_flatness` does not change then.

    Args:
        features: Inputs φ of the last layer, `[..., n, m]`.
        kernel: `[..., m, K]`, as in `keras.layers.Dense`.
        bias: `[..., K]`, or None.
        labels: As in `relative_flatness`: checked; the Hessian does not depend on them.
        loss: `"crossentropy"`, `"squared_error"` or `"binary"`, as in `relative_flatness`.

    Returns:
        The trace: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As in `relative_flatness`.

    Example:

    >>> hessian_trace([[0.0, 2.0]], [[1.0, -1.0], [0.0, 0.0]], None, [0])
    2.0

    When not to use:
        To compare networks whose layers may be rescaled without changing what they compute: the
        trace then says how they were scaled. `relative_flatness` does not change.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939;
        L. Dinh et al., "Sharp Minima Can Generalize For Deep Nets", ICML 2017, arXiv 1703.04933.
    """
    layer = checked_last_layer(features, kernel, bias, labels, loss)
    diagonal, _ = output_curvature(layer)
    return value_of(((layer.features**2).sum(-1) * diagonal.sum(-1)).mean(-1))


def _crossentropy_eigenvalue(features: np.ndarray, logits: np.ndarray) -> float:
    """Largest eigenvalue by Lanczos iterations on products with the Hessian, `[m K, m K]`."""
    probabilities = softmax(logits, axis=-1)
    count, shape = len(features), (features.shape[-1], logits.shape[-1])

    def product(vector):
        change = features @ vector.reshape(shape)
        mean = (probabilities * change).sum(-1, keepdims=True)
        return (features.T @ (probabilities * (change - mean))).ravel() / count

    size = shape[0] * shape[1]
    operator = LinearOperator((size, size), matvec=product, dtype="float64")
    # The start is drawn, because some constant vectors have the eigenvalue 0; with a fixed seed.
    start = np.random.default_rng(0).standard_normal(size)
    if not np.any(product(start)):
        return 0.0
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def hessian_max_eigenvalue(features, kernel, bias, labels, loss="crossentropy"):
    """Largest eigenvalue of the Hessian of the mean loss in the weights of the last layer.

    For softmax cross-entropy the Hessian, m K × m K, is never built: Lanczos iterations use

        H V = 1/n Φ^T [p ∘ (Φ V - <p, Φ V>)],    V: [m, K].

    For the other losses it consists of one block for each output.

    Args:
        features: Inputs φ of the last layer, `[..., n, m]`.
        kernel: `[..., m, K]`, as in `keras.layers.Dense`.
        bias: `[..., K]`, or None.
        labels: As in `relative_flatness`: checked; the Hessian does not depend on them.
        loss: `"crossentropy"`, `"squared_error"` or `"binary"`, as in `relative_flatness`.

    Returns:
        The eigenvalue: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As in `relative_flatness`.

    Example:

    >>> round(hessian_max_eigenvalue([[0.0, 2.0]], [[1.0, -1.0], [0.0, 0.0]], None, [0]), 6)
    2.0

    When not to use:
        To compare networks whose layers may be rescaled without changing what they compute: the
        eigenvalue then says how they were scaled. `relative_flatness` does not change.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939.
    """
    layer: LastLayer = checked_last_layer(features, kernel, bias, labels, loss)
    if loss != "crossentropy":
        # All outputs have the same curvature for squared errors, and a binary layer has one.
        diagonal, _ = output_curvature(layer)
        return value_of(largest_eigenvalue(layer.features, diagonal[..., 0]))
    values = np.empty(layer.features.shape[:-2])
    for member in np.ndindex(values.shape):
        values[member] = _crossentropy_eigenvalue(layer.features[member], layer.logits[member])
    return value_of(values)


def fisher_rao_norm(y, y_pred, num_hidden_layers):
    """Fisher-Rao norm of a ReLU network, from its logits.

        ‖θ‖_fr = (L + 1) sqrt( 1/n sum_i (<p_i, z_i> - z_{i, y_i})² ),    p_i = softmax(z_i)

    with L hidden layers, so L + 1 layers of weights. It equals the definition, a norm of the
    weights in the metric of the Fisher information, for networks without biases. It depends on the
    network's function alone, so no rescaling of layers or neurons changes it.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, `[..., n, K]`.
        num_hidden_layers: L ≥ 0. The comparison of the relative flatness paper has 5 for LeNet-5,
            which has 4 hidden layers: pass 5 for its values.

    Returns:
        The norm: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: Shapes that do not go together, labels out of range, a negative number of
            layers.

    Example:

    >>> fisher_rao_norm([0, 1], [[1.0, -1.0], [1.0, -1.0]], num_hidden_layers=1)
    2.51398...

    When not to use:
        For networks with biases or batch normalization, where this is not the norm of the
        definition. To compare networks trained to different losses: it grows with their margins.

    Reference:
        T. Liang et al., "Fisher-Rao Metric, Geometry, and Complexity of Neural Networks",
        AISTATS 2019, arXiv 1711.01530, theorem 3.1.
    """
    checks.whole("num_hidden_layers", num_hidden_layers, 0)
    labels, probabilities = labels_and_probabilities(y, y_pred, from_logits=True)
    check_same_rows(labels, probabilities)
    logits = np.asarray(y_pred, dtype="float64")
    chosen = np.take_along_axis(logits, labels[..., None], -1)
    # Differences to the label's logit: large common parts cancel before they are weighted.
    product = (probabilities * (logits - chosen)).sum(-1)
    return value_of((num_hidden_layers + 1) * np.sqrt((product**2).mean(-1)))
