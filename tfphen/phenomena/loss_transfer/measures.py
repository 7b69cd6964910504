"""What frozen features are worth: linear probes, class separation, similarity of layers.

The measures that take a `tfphen.measures.trained.Trained` look at networks of `network`, whose
hidden places are the layers named `"pool_1"`, `"hidden_1"` and so on, the penultimate one last.
"""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tfphen import models
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset
from tfphen.losses.transfer_objectives import transfer_objective
from tfphen.metrics import class_separation, linear_cka
from tfphen.train.initialization import unflatten

# At most so many examples are probed, and so many test examples compared layer by layer.
_MOST_PROBED, _COMPARED = 2000, 150
# Inverse weights of a probe's penalty, for features of mean square 1.
_GRID = (0.01, 0.1, 1.0, 10.0)


def network(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    body: str,
    head: str = "softmax",
    head_settings: Mapping | None = None,
    **settings,
) -> keras.Model:
    """A model whose last layer is that of an objective, see `tfphen.losses.transfer_objective`.

    Args:
        input_shape: Of one example.
        num_classes: Number of outputs.
        body: Builder in `tfphen.models`, of which all but the last layer is kept.
        head: Name of the objective.
        head_settings: Its settings.
        **settings: Of the builder.
    """
    base = models.get(body)(input_shape, num_classes, **settings)
    objective = transfer_objective(head, **(head_settings or {}))
    outputs = objective.head(base.get_layer("features").output, num_classes, seed=0)
    return keras.Model(base.input, outputs, name=f"{body}_for_{head}")


def trained_body(drawn: Mapping, inputs: Mapping, generator) -> tuple[Mapping, Mapping]:
    """A start with the weights of a trained network, `inputs["weights"]`, but for the last layer's.

    See `tfphen.train.initialization`.
    """
    trained = unflatten(inputs["weights"], drawn)
    return {path: v for path, v in trained.items() if not path.startswith("logits/")}, {}


def _places(trained) -> list[str]:
    names = [layer.name for layer in trained.members.model.layers]
    # The last of them by the name that all models have for it, of which outputs are taken anyway.
    return [*[name for name in names if name.startswith(("pool_", "hidden_"))][:-1], "features"]


def separation(trained) -> np.ndarray:
    """Class separation of penultimate features of the training set, `[members]`.

    Features of length zero have no direction and are left out. NaN where some are not finite, or
    a class has none.
    """
    found = []
    features, labels = trained.activations("train", "features"), trained.labels("train")
    for values, own, size in zip(features, labels, trained.class_counts.sum(-1), strict=True):
        values, own = values[:size].astype("float64"), own[:size]
        pointing = np.any(values, axis=1)
        usable = np.isfinite(values).all() and len(set(own[pointing])) == trained.num_classes
        found.append(class_separation(values[pointing], own[pointing]) if usable else np.nan)
    return np.asarray(found)


def _probed(trained):
    """Inputs `[members, n, ...]` and labels of what a probe learns, in an order of each seed."""
    splits = tuple(trained.trials[0].data.further) or ("other_train", "other_test")
    labels = np.concatenate([trained.labels(split) for split in splits], 1)
    inputs = np.concatenate([trained.inputs(split) for split in splits], 1)
    generators = [stream(trial.seed_of("probe"), "probe") for trial in trained.trials]
    order = [one.permutation(labels.shape[1])[:_MOST_PROBED] for one in generators]
    rows = np.arange(len(order))[:, None], np.stack(order)
    return inputs[rows], labels[rows]


def probe(trained, place: int | None) -> np.ndarray:
    """Accuracy of a linear probe of a layer, or of the inputs, on other data, `[members]`.

    The data are those of `Data.further` if there are some, else the other classes.

    Args:
        trained: The population.
        place: Of the layer, `0` for the first and `-1` for the penultimate; None for the inputs.
    """
    inputs, labels = trained.once(_probed)
    values = inputs if place is None else trained.apply(inputs, _places(trained)[place])
    return np.asarray([probe_accuracy(x, y) for x, y in zip(values, labels, strict=True)])


def probe_accuracy(features, labels) -> float:
    """Test accuracy of multinomial logistic regression on the second half of some examples.

    It is fitted on the first half, with the penalty that does best on the last 30% of it when
    fitted on the rest. Features are divided by one number, the root of their mean square.

    Args:
        features: Of examples in random order, `[n, ...]`.
        labels: Integers, `[n]`.

    Returns:
        A share of the second half, or NaN if features are not finite.

    Example:

    >>> labels = np.arange(40) % 2
    >>> probe_accuracy(np.stack([labels, 1 - labels], 1), labels)
    1.0
    """
    features = np.reshape(features, (len(labels), -1)).astype("float64")
    if not np.isfinite(features).all():
        return float("nan")
    half = len(labels) // 2
    fitted = round(0.7 * half)
    features = features / (np.sqrt(np.square(features[:half]).mean()) or 1.0)

    # Each fit starts from the one before it.
    model = LogisticRegression(tol=1e-3, max_iter=10_000, warm_start=True)

    def accuracy(inverse: float, end: int, last: int) -> float:
        model.set_params(C=inverse).fit(features[:end], labels[:end])
        return float(model.score(features[end:last], labels[end:last]))

    # Threads cost more than they save on matrices this small: tenfold on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        best = max(_GRID, key=lambda inverse: accuracy(inverse, fitted, half))
        return accuracy(best, half, len(labels))


def representation(trained, place: int) -> np.ndarray:
    """Outputs of a layer for the first test examples, float16 `[members, examples, numbers]`."""
    values = trained.apply(trained.inputs("test")[:, :_COMPARED], _places(trained)[place])
    return values.reshape(*values.shape[:2], -1).astype("float16")


# ---- similarity of draws -----------------------------------------------------------------------


def normal_pairs(*, generator_seed: int = 1337, count: int = 100, width: int = 10) -> Dataset:
    """A data source: normal features of some examples, and the same plus as much noise.

    Its training inputs are X and its test inputs Y = X + N, all entries of X and N of variance 1.

    Args:
        generator_seed: Of NumPy's older generator.
        count: Number of examples.
        width: Number of features.
    """
    generator = np.random.RandomState(generator_seed)
    first = generator.randn(count, width)
    second = generator.randn(count, width) + first
    none = np.zeros(count, "int32")
    return Dataset(first, none, second, none, 1, "pairs of normal features")


def rbf_cka(x, y, threshold: float = 0.5) -> float:
    """Centred kernel alignment with Gaussian kernels, not unbiased.

        K_ij = exp(-|x_i - x_j|² / (2 threshold² m)),   CKA = <HKH, HLH> / (|HKH| |HLH|)

    with m the median of all entries of the matrix of squared distances, and H the centring.

    Args:
        x: Features `[n, p]`.
        y: Features of the same examples, `[n, q]`.
        threshold: Width of the kernels in units of the root of m.

    Example:

    >>> x = np.asarray([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])
    >>> round(rbf_cka(x, 7.0 - 2.0 * x), 6)
    1.0

    Reference:
        S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of Neural Network Representations
        Revisited", ICML 2019, arXiv 1905.00414.
    """
    grams = []
    for values in (x, y):
        values = np.asarray(values, "float64")
        squares = np.square(values[:, None] - values[None]).sum(-1)
        gram = np.exp(-squares / (2 * threshold**2 * np.median(squares)))
        gram -= gram.mean(0)
        grams.append(gram - gram.mean(1, keepdims=True))
    first, second = grams
    return float((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))


class Similarities:
    """Similarities of the training and the test inputs of each member.

    Attributes:
        how: How they were found.
        parameters: None are fitted.
        reports: `[members]` by the name of the index.
    """

    how, parameters = "closed form", 0

    def __init__(self, reports: Mapping[str, np.ndarray]):
        self.reports = reports


def compare(trials: Sequence, examples, tick: Callable[[float], None]) -> Similarities:
    """Takes CKA of the training and the test inputs: plain, unbiased and with Gaussian kernels.

    A solver, see `tfphen.experiment.phenomenon.Phenomenon.solvers`.

    Args:
        trials: The members.
        examples: Their data, `tfphen.train.examples.Examples`.
        tick: Called with the number of trials' worth of work just done.
    """
    pairs = [(one.train_inputs, one.test_inputs) for one in examples.resolved]
    tick(len(trials))
    reports = {
        "plain_cka": [linear_cka(*pair) for pair in pairs],
        "unbiased_cka": [linear_cka(*pair, unbiased=True) for pair in pairs],
        "rbf_cka": [rbf_cka(*pair) for pair in pairs],
    }
    return Similarities({name: np.asarray(values) for name, values in reports.items()})
