"""Measures of the last layer, also of rescaled networks, and flatness bounds of hidden layers."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.core.seeds import stream
from tfphen.core.trial import Trial
from tfphen.metrics.flatness.layer_traces import perceptron_hessian_traces
from tfphen.metrics.flatness.pac_bayes import pac_bayes_orig, pac_bayes_sigma
from tfphen.metrics.flatness.relative_flatness import maximal_relative_flatness, relative_flatness
from tfphen.metrics.flatness.sharpness import fisher_rao_norm, hessian_max_eigenvalue, hessian_trace

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

# Measures of the last layer on the training set: columns of the table, and their names in figures.
MEASURES = {
    "flatness": "relative flatness",
    "raw_flatness": "the same, neurons as they are",
    "maximal_flatness": "relative flatness, eigenvalues",
    "trace": "Hessian trace",
    "max_eigenvalue": "Hessian eigenvalue",
    "squared_norm": "squared weight norm",
    "fisher_rao": "Fisher-Rao norm",
    "pac_bayes": "PAC-Bayes",
}
# Columns of each network, see `network_measures`.
COLUMNS = (
    *MEASURES,
    *(f"rescaled_{name}" for name in MEASURES),
    "neuronwise_flatness",
    "neuronwise_raw_flatness",
    "factor",
    "logit_change",
    "constant_features",
)
# Layers and neurons are multiplied by 10^U, U uniform between minus this and this.
LOG10_FACTOR = 1.5


def last_layer(trained: "Trained", column: str) -> np.ndarray:
    """One of `COLUMNS`, `[members]`; NaN for a member that diverged."""
    return trained.once(_last_layers)[column]


def layer_bounds(trained: "Trained") -> np.ndarray:
    """Trace of the Hessian in each hidden layer times the layer's squared norm."""
    members, bounds = trained.members, []
    names = [layer.name for layer in members.model.layers if layer.name.startswith("hidden_")]
    weights = [
        [members.value_of(f"{name}/{kind}").astype("float64") for name in (*names, "logits")]
        for kind in ("kernel", "bias")
    ]
    for index, inputs in enumerate(trained.inputs("train")):
        kernels, biases = ([layer[index] for layer in kind] for kind in weights)
        traces = perceptron_hessian_traces(inputs.reshape(len(inputs), -1), kernels, biases)
        bounds.append([t * (k**2).sum() for t, k in zip(traces[:-1], kernels, strict=False)])
    return np.asarray(bounds)


def _last_layers(trained: "Trained") -> dict[str, np.ndarray]:
    """Returns `COLUMNS` of all members, each `[members]`; NaN for a member that diverged."""
    members, labels = trained.members, trained.labels("train")
    kernels, biases = (members.value_of(f"logits/{name}") for name in ("kernel", "bias"))
    hidden = sum(v.path.endswith("kernel") for v in members.model.weights) - 1
    columns = {name: np.full(members.size, np.nan) for name in COLUMNS}
    layers = zip(trained.activations("train", "features"), kernels, biases, strict=True)
    for index, (layer, own_labels) in enumerate(zip(layers, labels, strict=True)):
        trial, layer = trained.trials[index], [part.astype("float64") for part in layer]
        if not all(np.isfinite(part).all() for part in layer):
            continue
        if "factor" in (trial.measures or COLUMNS):
            values = network_measures(trial, *layer, own_labels, hidden)
        else:
            values = {"flatness": relative_flatness(*layer, own_labels, standardize=True)}
        for name, value in values.items():
            columns[name][index] = value
    return columns


def network_measures(
    trial: Trial, features, kernel, bias, labels, num_hidden_layers: int
) -> dict[str, float]:
    """Returns the measures of a network as it is, and rescaled by factors drawn for the trial."""
    generator = stream(trial.seed, "rescaling", int(trial.id, 16))
    factor = 10 ** generator.uniform(-LOG10_FACTOR, LOG10_FACTOR)
    factors = 10 ** generator.uniform(-LOG10_FACTOR, LOG10_FACTOR, len(kernel))
    layer = features, kernel, bias, labels
    return {
        **measures_under_rescaling(*layer, num_hidden_layers, factor, factors),
        "factor": factor,
        "constant_features": int((features == features[0]).all(axis=0).sum()),
    }


def last_layer_measures(features, kernel, bias, labels, num_hidden_layers: int) -> dict[str, float]:
    """Returns measures of one last layer with softmax cross-entropy, by name.

    Args:
        features: Inputs of the layer, float64 array `[n, m]`.
        kernel: Weights, features × classes, `[m, K]`.
        bias: `[K]`.
        labels: Integer classes, `[n]`.
        num_hidden_layers: Of the network, for the Fisher-Rao norm.

    Returns:
        `flatness` and `maximal_flatness` on standardized neurons, `raw_flatness` on neurons as they
        are, `trace` and `max_eigenvalue` of the Hessian, `squared_norm` of the kernel,
        `fisher_rao`, and `pac_bayes` with the noise that this layer tolerates.
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

    Multiplying the weights of the last layer and dividing its inputs, which is what dividing the
    weights and biases of the ReLU layer below does, leaves the logits unchanged.

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
