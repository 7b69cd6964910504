"""Relative flatness of a last layer in closed form, and its parts."""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.flatness.last_layer import (
    checked_features_and_kernel,
    checked_last_layer,
    output_curvature,
)
from tfphen.metrics.probabilities import float64_array, float_or_array


def standardize_neurons(
    features: TensorLike, kernel: TensorLike, bias: TensorLike | None = None
) -> tuple[Array, ...]:
    """Scales each feature to unit standard deviation and its weights by the inverse.

    With σ_j the standard deviation of feature j over the n examples,

        φ_j ← φ_j / σ_j,    w_sj ← w_sj σ_j                                       (σ_j > 0)
        b_s ← b_s + w_sj c_j,    φ_j ← 0,    w_sj ← 0                             (φ_j = c_j)

    A feature that is the same number c_j in all examples, as of a dead neuron, has no deviation to
    divide by. It adds a constant to each output, which is what a bias does, so it is moved there:
    left beside the others, its weights alone would keep the scale of the layer.

    The layer's outputs stay the same, given the bias. Any measure of the result is unchanged by
    scaling neurons, φ_j → φ_j / s_j and w_sj → w_sj s_j, or the whole layer with its features,
    which leaves the network's function as it is but changes the plain measure.

    Args:
        features: Inputs of the layer, `[..., n, m]`.
        kernel: Weights as in `keras.layers.Dense`, `[..., m, K]`.
        bias: Its bias, `[..., K]`. Without one the outputs of the result lack what constant
            features that are not zero added to them.

    Returns:
        The pair `(features, kernel)`, in the same shapes and float64; with a bias, the triple
        `(features, kernel, bias)`.

    Raises:
        ValueError: Incompatible shapes, or values that are not finite.

    Example:

    >>> layer = [[0.0, 3.0], [4.0, 3.0]], [[1.0], [1.0]], [0.5]
    >>> features, kernel, bias = standardize_neurons(*layer)
    >>> features.tolist(), kernel.tolist(), bias.tolist()
    ([[0.0, 0.0], [2.0, 0.0]], [[2.0], [0.0]], [3.5])

    When not to use:
        On other examples than those that the measure is taken on: the spread of a feature is that
        of the sample. A feature that is constant but for rounding is not taken as constant: divided
        by its deviation it grows without bound. Round such features first.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939.
    """
    features, kernel = checked_features_and_kernel(features, kernel)
    # Of equal numbers the mean, and so the deviation, may be off by a rounding error.
    constant = np.ptp(features, axis=-2) == 0
    scale = np.where(constant, 1.0, features.std(-2))
    scaled = np.where(constant[..., None, :], 0.0, features / scale[..., None, :])
    weights = np.where(constant[..., :, None], 0.0, kernel * scale[..., :, None])
    if bias is None:
        return scaled, weights
    bias, shape = float64_array(bias, "bias"), (*kernel.shape[:-2], kernel.shape[-1])
    if bias.shape != shape:
        raise ValueError(
            f"`bias` must be None or have shape {shape}, one entry for each column of `kernel`. "
            f"Received: bias.shape={bias.shape}"
        )
    fixed = np.where(constant, features[..., 0, :], 0.0)
    return scaled, weights, bias + (fixed[..., None, :] @ kernel)[..., 0, :]


def relative_flatness(
    features: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None,
    labels: TensorLike,
    loss: str = "crossentropy",
    standardize: bool = False,
    normalize: bool = False,
) -> float | Array:
    """Relative flatness κ_Tr of a network's last layer: its Hessian's trace, weighted by its rows.

    For an output layer z = φ W^T + b with weight vectors w_1 ... w_K and the mean loss L of n
    examples, with H_{s,t} = ∂²L / ∂w_s ∂w_t, `[m, m]`,

        κ_Tr = sum_{s,t} <w_s, w_t> Tr(H_{s,t})                                   (definition)
             = 1/n sum_i ‖φ_i‖² Var_{s ~ p_i}(w_s)                                (cross-entropy)
             = 1/n sum_i ‖φ_i‖² ½ sum_{s,t} p_is p_it ‖w_s - w_t‖²
             = 2 ‖W‖² 1/n sum_i ‖φ_i‖²                                            (squared error)
             = ‖w‖² 1/n sum_i p_i (1 - p_i) ‖φ_i‖²                                (binary)

    where p_i = softmax(z_i), or sigmoid(z_i) for binary labels. The second form is exact: no
    Hessian is built and nothing is differentiated. It is computed as the third, whose terms are all
    positive. For squared errors it is the penalty of ridge regression times a constant of the data.

    κ_Tr ≥ 0 is unchanged when the layer is multiplied by c and its features by 1/c, by an
    orthogonal change of the feature basis, and (cross-entropy) by adding one vector to all w_s. It
    changes with the scale of single neurons, unless `standardize=True`. It bounds how much the loss
    rises, on average, when features are perturbed in proportion to their size:
    E[L(W + δ W O)] - L(W) = δ² κ_Tr / (2 m) + O(δ⁴) for a random orthogonal O.

    The Hessian of these losses does not depend on the labels. They are an argument all the same,
    and checked, because other measures of a network need them: a wrong set of examples shows here.
    The cost is O(n (m K + K²)): compare networks on all training examples, without augmentation.

    Args:
        features: Inputs φ of the last layer, `[..., n, m]`, such as those of a population
            `[members, n, m]`. Arrays, lists or tensors of any backend; computed in float64.
        kernel: Its weights as in `keras.layers.Dense`, features × classes, `[..., m, K]`.
        bias: Its bias, `[..., K]`; None for a layer without one.
        labels: Integer classes, `[..., n]`, or `[n]` for all members; 0 and 1 for `"binary"`. For
            `"squared_error"` classes, or targets `[..., n, K]`, or `[..., n]` with one output.
        loss: `"crossentropy"`: softmax cross-entropy of K ≥ 2 logits, in nats. `"binary"`: sigmoid
            cross-entropy of one logit. `"squared_error"`: sum over outputs of squared differences
            (`keras.losses.MeanSquaredError` divides by K too). Each is a mean over examples.
        standardize: Scale each feature to unit standard deviation first, and take constant ones
            into the bias, see `standardize_neurons`. The comparisons of networks in the paper do.
        normalize: Divide by m, constant features included, as some published variants do.

    Returns:
        κ_Tr: a float, or an array `[...]` for inputs with leading axes. In units of the loss.

    Raises:
        ValueError: Incompatible shapes, labels out of range, values that are not finite,
            an unknown loss.

    Example:

    Two examples, both maximally uncertain: p = (½, ½) and ‖w_0 - w_1‖² = 4.

    >>> features, labels = [[1.0, 0.0], [0.0, 1.0]], [0, 1]
    >>> relative_flatness([[0.0, 1.0], [0.0, 1.0]], [[1.0, -1.0], [0.0, 0.0]], None, labels)
    1.0

    From a Keras model whose last layer is dense:

    >>> import keras, numpy
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu", name="hidden"),
    ...     keras.layers.Dense(3, name="logits")])
    >>> below = keras.Model(model.inputs[0], model.get_layer("hidden").output)
    >>> inputs, labels = numpy.eye(5, 8), [0, 1, 2, 0, 1]
    >>> kernel, bias = model.get_layer("logits").get_weights()
    >>> relative_flatness(below(inputs), kernel, bias, labels, standardize=True) > 0
    True

    When not to use:
        To compare networks at different training losses: κ_Tr contains 1 - ‖p‖² and falls as the
        loss does, so stop them at the same loss first. For a layer that is not the last, use
        `relative_flatness_of_layer`; inside a training loss, `relative_flatness_penalty`. Weight
        decay is not part of L here. Values from code that multiplies ‖W‖² by the trace are the
        upper bound ‖W‖² Tr(H) ≥ κ_Tr, not this.

    Migration:
        From a PyTorch `Linear`: `kernel=layer.weight.T`, `bias=layer.bias`. For the authors' CIFAR
        comparison pass `standardize=True, normalize=False`; their synthetic one has
        `normalize=True` and divides features by the variance instead of its root.

    Reference:
        H. Petzka, M. Kamp, L. Adilova, C. Sminchisescu, M. Boley, "Relative Flatness and
        Generalization", NeurIPS 2021, arXiv 2001.00939.
    """
    layer = checked_last_layer(features, kernel, bias, labels, loss)
    if standardize:  # The logits, of the layer with its bias, are those that they were.
        features, kernel = standardize_neurons(layer.features, layer.kernel)
        layer = layer._replace(features=features, kernel=kernel)
    _, weighted = output_curvature(layer)
    value = ((layer.features**2).sum(-1) * weighted).mean(-1)
    return float_or_array(value / layer.features.shape[-1] if normalize else value)


def maximal_relative_flatness(
    features: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None,
    labels: TensorLike,
    loss: str = "crossentropy",
    standardize: bool = False,
) -> float | Array:
    """Relative flatness with largest eigenvalues instead of traces.

        κ_max = sum_s ‖w_s‖² λ_max(H_{s,s}),
        H_{s,s} = 1/n sum_i p_is (1 - p_is) φ_i φ_i^T                             (cross-entropy)

    Unlike κ_Tr it changes when one vector is added to all w_s. The largest eigenvalue is found on
    the smaller of the n × n and m × m matrices that share it, K times.

    Args:
        features: Inputs of the last layer, `[..., n, m]`.
        kernel: `[..., m, K]`.
        bias: `[..., K]`, or None.
        labels: As in `relative_flatness`: checked; the Hessian does not depend on them.
        loss: As in `relative_flatness`.
        standardize: As in `relative_flatness`.

    Returns:
        κ_max: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As in `relative_flatness`.

    Example:

    >>> layer = {"kernel": [[1.0, -1.0], [0.0, 0.0]], "bias": None, "labels": [0, 1]}
    >>> round(maximal_relative_flatness([[0.0, 1.0], [0.0, 1.0]], **layer), 6)
    0.5

    When not to use:
        As the quantity of the paper's bound and experiments, which is `relative_flatness`. To
        compare classifiers whose logits differ by a common term: they compute the same, and this
        differs.

    Reference:
        H. Petzka et al., "Relative Flatness and Generalization", NeurIPS 2021, arXiv 2001.00939.
    """
    layer = checked_last_layer(features, kernel, bias, labels, loss)
    if standardize:  # The logits, of the layer with its bias, are those that they were.
        features, kernel = standardize_neurons(layer.features, layer.kernel)
        layer = layer._replace(features=features, kernel=kernel)
    diagonal, _ = output_curvature(layer)
    total = np.zeros(layer.features.shape[:-2])
    for s, norm in enumerate(np.moveaxis((layer.kernel**2).sum(-2), -1, 0)):
        total = total + norm * largest_eigenvalue(layer.features, diagonal[..., s])
    return float_or_array(total)


def largest_eigenvalue(features: Array, weights: Array) -> Array:
    """Returns λ_max of 1/n sum_i weights_i φ_i φ_i^T, `[...]`.

    Args:
        features: `[..., n, m]`.
        weights: Not negative, `[..., n]`.
    """
    count, size = features.shape[-2:]
    scaled = features * np.sqrt(weights / count)[..., None]
    other = np.swapaxes(scaled, -1, -2)
    gram = other @ scaled if size <= count else scaled @ other
    return np.linalg.eigvalsh(gram)[..., -1]
