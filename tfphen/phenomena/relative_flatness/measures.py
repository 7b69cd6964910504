"""The measures of a last layer by which the literature ranks networks, also of rescaled ones."""

import numpy as np

from tfphen.metrics import (
    fisher_rao_norm,
    hessian_max_eigenvalue,
    hessian_trace,
    maximal_relative_flatness,
    pac_bayes_orig,
    pac_bayes_sigma,
    relative_flatness,
)


def last_layer_measures(features, kernel, bias, labels, num_hidden_layers: int) -> dict[str, float]:
    """Returns measures of one last layer with softmax cross-entropy, by name.

    Args:
        features: Inputs of the layer, float64 array `[n, m]`.
        kernel: Weights, features × classes, `[m, K]`.
        bias: `[K]`.
        labels: Integer classes, `[n]`.
        num_hidden_layers: Of the network, for the Fisher-Rao norm.

    Returns:
        `flatness` and `maximal_flatness` on standardised neurons, `raw_flatness` on neurons as they
        are, `trace` and `max_eigenvalue` of the Hessian, `squared_norm` of the kernel,
        `fisher_rao`, and `pac_bayes` with the noise that this layer stands.
    """
    layer = features, kernel, bias, labels
    sigma = pac_bayes_sigma(*layer)
    return {
        "flatness": relative_flatness(*layer, standardize=True),
        "raw_flatness": relative_flatness(*layer),
        "maximal_flatness": maximal_relative_flatness(*layer, standardize=True),
        "trace": hessian_trace(*layer),
        "max_eigenvalue": hessian_max_eigenvalue(*layer),
        "squared_norm": float((kernel**2).sum()),
        "fisher_rao": fisher_rao_norm(labels, features @ kernel + bias, num_hidden_layers),
        "pac_bayes": pac_bayes_orig(kernel, sigma, len(features)),
    }


def measures_under_rescaling(
    features, kernel, bias, labels, num_hidden_layers: int, factor: float, factors: np.ndarray
) -> dict[str, float]:
    """Returns measures of a network as it is and rescaled, which keeps its function.

    Multiplying the weights of the last layer and dividing what the layer below gives, which is what
    dividing the weights and biases of a ReLU layer does, leaves the logits as they are.

    Args:
        features, kernel, bias, labels, num_hidden_layers: As in `last_layer_measures`.
        factor: Multiplies the kernel, and divides all features.
        factors: Multiply the rows of the kernel, one for each feature that they divide, `[m]`.

    Returns:
        Those of `last_layer_measures`; the same after scaling by `factor`, as `rescaled_<name>`;
        `neuronwise_flatness` and `neuronwise_raw_flatness` after scaling by `factors`; and
        `logit_change`, the largest change of a logit by both, which is rounding, relative to the
        largest logit.
    """
    logits = features @ kernel + bias
    layer = features / factor, kernel * factor, bias, labels
    neurons = features / factors, kernel * factors[:, None], bias, labels
    changes = [abs(one[0] @ one[1] + bias - logits).max() for one in (layer, neurons)]
    rescaled = last_layer_measures(*layer, num_hidden_layers)
    return {
        **last_layer_measures(features, kernel, bias, labels, num_hidden_layers),
        **{f"rescaled_{name}": value for name, value in rescaled.items()},
        "neuronwise_flatness": relative_flatness(*neurons, standardize=True),
        "neuronwise_raw_flatness": relative_flatness(*neurons),
        "logit_change": max(changes) / abs(logits).max(),
    }
