"""Trace of the Hessian in the weights of every layer of a ReLU perceptron, in closed form."""

import numpy as np
from scipy.special import softmax

from tfphen.core import checks
from tfphen.metrics.probabilities import float64_array


def perceptron_hessian_traces(inputs, kernels, biases, rows_at_once=4096) -> np.ndarray:
    """Trace of the Hessian of the mean cross-entropy in each kernel of a ReLU perceptron.

    With φ_i the inputs of a layer, a_i its outputs before the ReLU, z_i the logits and
    p_i = softmax(z_i),

        Tr(H) = 1/n sum_i ‖φ_i‖² sum_j Var_{s ~ p_i}(∂z_is / ∂a_ij).

    This is exact: where they can be differentiated, the logits are linear in the weights of one
    layer, so the Hessian has no other part. For the last layer it is `hessian_trace`. All slopes
    ∂z / ∂a come from one pass backwards; nothing is drawn and no Hessian is built.

    Args:
        inputs: `[n, d]`.
        kernels: Of all layers, the last one's included, as in `keras.layers.Dense`: each
            `[inputs, outputs]`, the last with K ≥ 2 classes.
        biases: As many, each `[outputs]`.
        rows_at_once: Rows of `inputs` in one pass; memory grows with rows × K × width.

    Returns:
        The traces, one for each kernel, `[layers]`, float64. Biases are not among the weights.

    Raises:
        ValueError: Shapes that do not go together, values that are not finite.

    Example:

    Nothing has a slope but the first hidden neuron, which is 2.

    >>> kernels = [[[1.0, -1.0], [0.0, 0.0]], [[1.0, -1.0], [0.0, 0.0]]]
    >>> traces = perceptron_hessian_traces([[2.0, 0.0]], kernels, [[0.0, 0.0], [-2.0, 2.0]])
    >>> traces.tolist()
    [4.0, 2.0]

    When not to use:
        Other activations, normalization or residual connections: use `hessian_vector_product` with
        random vectors. To compare networks whose layers may be rescaled without changing what they
        compute: the traces change, and those times the squared norms of the kernels do not.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939.
    """
    checks.wholes(rows_at_once=rows_at_once)
    inputs = float64_array(inputs, "inputs")
    kernels = [float64_array(kernel, "kernels") for kernel in kernels]
    biases = [float64_array(bias, "biases") for bias in biases]
    chain = [inputs.shape[1:], *(kernel.shape[1:] for kernel in kernels)]
    fits = inputs.ndim == 2 and len(inputs) and kernels and len(kernels) == len(biases)
    if not fits or any(
        kernel.shape != (*before, *after) or bias.shape != after or len(after) != 1
        for kernel, bias, before, after in zip(kernels, biases, chain, chain[1:], strict=False)
    ):
        raise ValueError(
            "`kernels` must lead from the columns of `inputs` to the logits, each [inputs, outputs]"
            ", with one of `biases` [outputs] for each. Received: "
            f"inputs.shape={inputs.shape}, kernels of shapes {[k.shape for k in kernels]}, "
            f"biases of shapes {[b.shape for b in biases]}"
        )
    totals = np.zeros(len(kernels))
    for first in range(0, len(inputs), rows_at_once):
        totals += _summed(inputs[first : first + rows_at_once], kernels, biases)
    return totals / len(inputs)


def _summed(inputs, kernels, biases) -> np.ndarray:
    """Returns the traces of some rows, summed over rows."""
    features = [inputs]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        features.append(np.maximum(features[-1] @ kernel + bias, 0.0))
    weights = softmax(features[-1] @ kernels[-1] + biases[-1], axis=-1)[..., None]
    slopes = np.broadcast_to(np.eye(weights.shape[1]), (len(inputs), *(weights.shape[1],) * 2))
    totals = np.zeros(len(kernels))
    for index in reversed(range(len(kernels))):
        centered = slopes - (weights * slopes).sum(1, keepdims=True)
        variances = (weights * centered**2).sum((1, 2))
        totals[index] = ((features[index] ** 2).sum(-1) * variances).sum()
        if index:
            slopes = (slopes @ kernels[index].T) * (features[index] > 0)[:, None]
    return totals
