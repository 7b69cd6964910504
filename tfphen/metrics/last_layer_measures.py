"""The measures of a last layer by which the literature ranks trained networks, in one call."""

from tfphen.metrics.pac_bayes import pac_bayes_orig, pac_bayes_sigma
from tfphen.metrics.relative_flatness import maximal_relative_flatness, relative_flatness
from tfphen.metrics.sharpness import fisher_rao_norm, hessian_max_eigenvalue, hessian_trace


def last_layer_measures(
    features, kernel, bias, labels, num_hidden_layers: int
) -> dict[str, float]:
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
