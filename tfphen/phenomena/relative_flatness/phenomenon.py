"""Flat in the right sense generalises (Petzka et al. 2021, arXiv 2001.00939).

Relative flatness weighs the Hessian of a layer by the products of its weight vectors. Networks of
one architecture, trained by different optimizers to the same training loss, are ranked by it, and
by measures that change when layers are rescaled though the network stays the same.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

from tfphen.core import config as configs
from tfphen.core.checks import is_number
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.phenomena.relative_flatness.findings import largest_change, pearson, stopped, tau
from tfphen.verdicts.findings import Control, Signature

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
# Layers and neurons are multiplied by 10^U, U uniform between minus this and this.
LOG10_FACTOR = 1.5
# Kendall's tau: the least that counts, and the least fall of it by rescaling.
TAU, FALL = 0.15, 0.15
# Decimal logarithm of the largest relative change of what stays the same.
SAME = -5.0
_PERMUTATIONS = 20
# Seeds of untrained networks are made of the trial's seed and a number below this.
_MOST_UNTRAINED = 1000


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; `train` is a number.
        model: Builder and its settings; its layers `"features"` and `"logits"` are measured.
        optimizers: Learning rates by the name of a Keras optimizer.
        batch_sizes: Each with every optimizer and rate.
        weight_decays: Added to the gradient, each with all of the above.
        stop_at_loss: Training ends with the first epoch after which the mean training loss is at
            most this. Networks that do not get there are dropped.
        epochs: Most epochs.
        untrained: Number of untrained networks of each seed, a control; 0 leaves it out.
        layerwise: Measure the hidden layers of an `mlp` too.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "mnist1d"
    train: int = 1000
    test: int | None = None
    split: str = "own"
    model: dict = dataclasses.field(
        default_factory=lambda: {"name": "mlp", "hidden_units": [64, 32]}
    )
    optimizers: dict = dataclasses.field(default_factory=lambda: {"sgd": [0.1, 0.05]})
    batch_sizes: tuple[int, ...] = (16, 64)
    weight_decays: tuple[float, ...] = (0.0, 0.001)
    stop_at_loss: float = 0.1
    epochs: int = 300
    untrained: int = 0
    layerwise: bool = False
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        for name, rates in self.optimizers.items():
            if not isinstance(rates, (list, tuple)) or not all(is_number(r, 0.0) for r in rates):
                raise UsageError(
                    f"`optimizers` has lists of positive learning rates. Received: {name}={rates!r}"
                )
        if not self.stop_at_loss > 0:
            raise UsageError(
                f"`stop_at_loss` must be positive. Received: stop_at_loss={self.stop_at_loss}"
            )
        if not 0 <= self.untrained <= _MOST_UNTRAINED:
            raise UsageError(
                f"`untrained` lies in 0 ... {_MOST_UNTRAINED}. Received: untrained={self.untrained}"
            )
        plain = self.model["name"] == "mlp" and not {"skip", "activation"} & set(self.model)
        if self.layerwise and not plain:
            raise UsageError(
                "`layerwise` is for an `mlp` without `skip` and `activation`. "
                f"Received: model={self.model}"
            )


def _scaled(drawn, inputs, generator, factor: float):
    """Starts from the drawn weights times a factor."""
    return {path: factor * weight for path, weight in drawn.items()}, {}


def _of_network(trial: Trial, features, kernel, bias, labels, hidden: int) -> dict[str, float]:
    """Returns the measures of a network as it is, and rescaled by factors drawn for the trial."""
    from tfphen.core.seeds import stream
    from tfphen.phenomena.relative_flatness.measures import measures_under_rescaling

    generator = stream(trial.seed, "rescaling", int(trial.id, 16))
    factor = 10 ** generator.uniform(-LOG10_FACTOR, LOG10_FACTOR)
    factors = 10 ** generator.uniform(-LOG10_FACTOR, LOG10_FACTOR, len(kernel))
    return {
        **measures_under_rescaling(features, kernel, bias, labels, hidden, factor, factors),
        "factor": factor,
        "constant_features": int((features == features[0]).all(axis=0).sum()),
    }


_NEURONWISE = ("neuronwise_flatness", "neuronwise_raw_flatness")
_MORE = ("factor", "logit_change", "constant_features")
# Of each network, see `_of_network`.
COLUMNS = (*MEASURES, *(f"rescaled_{name}" for name in MEASURES), *_NEURONWISE, *_MORE)


def _last_layers(trained) -> dict:
    """Returns `COLUMNS` of all members, each `[members]`; NaN for one that diverged."""
    import numpy as np

    from tfphen.metrics import relative_flatness

    members, labels = trained.members, trained.labels("train")
    kernels, biases = (members.value_of(f"logits/{name}") for name in ("kernel", "bias"))
    hidden = sum(v.path.endswith("kernel") for v in members.model.weights) - 1
    found = {name: np.full(members.size, np.nan) for name in COLUMNS}
    layers = zip(trained.activations("train", "features"), kernels, biases, strict=True)
    for index, (layer, own) in enumerate(zip(layers, labels, strict=True)):
        trial, layer = trained.trials[index], [part.astype("float64") for part in layer]
        if not all(np.isfinite(part).all() for part in layer):
            continue
        if "factor" in (trial.measures or COLUMNS):
            values = _of_network(trial, *layer, own, hidden)
        else:
            values = {"flatness": relative_flatness(*layer, own, standardize=True)}
        for name, value in values.items():
            found[name][index] = value
    return found


def _column(name: str) -> Measure:
    return Measure(name, lambda trained: trained.once(_last_layers)[name])


def _layer_bounds(trained):
    """Trace of the Hessian in each hidden layer times the layer's squared norm."""
    import numpy as np

    from tfphen.metrics import perceptron_hessian_traces

    members, bounds = trained.members, []
    names = [one.name for one in members.model.layers if one.name.startswith("hidden_")]
    weights = [
        [members.value_of(f"{name}/{kind}").astype("float64") for name in (*names, "logits")]
        for kind in ("kernel", "bias")
    ]
    for index, inputs in enumerate(trained.inputs("train")):
        kernels, biases = ([layer[index] for layer in kind] for kind in weights)
        traces = perceptron_hessian_traces(inputs.reshape(len(inputs), -1), kernels, biases)
        bounds.append([t * (k**2).sum() for t, k in zip(traces[:-1], kernels, strict=False)])
    return np.asarray(bounds)


class RelativeFlatness(Phenomenon):
    """Within a seed, all networks share the training set, initial weights and order of the data."""

    title = "Relative flatness and generalisation"
    claim = (
        "Among networks of one architecture trained to the same loss, those whose last layer is "
        "flatter relative to its weights generalise better. Unlike the trace of the Hessian, this "
        "flatness does not change when layers are rescaled and the network stays the same."
    )
    paper = (
        "H. Petzka, M. Kamp, L. Adilova, C. Sminchisescu, M. Boley, Relative Flatness and "
        "Generalization, NeurIPS 2021, arXiv 2001.00939"
    )
    Config = Config
    measures = (
        *(f(split) for split in ("train", "test") for f in (error, loss)),
        *map(_column, COLUMNS),
        Measure("layer_bounds", _layer_bounds),
    )
    starts: Mapping = {"scaled": _scaled}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _trained(config, seed)
            yield from _untrained(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        every = table[table.arm == "trained"]
        nets, untrained = stopped(every), table[table.arm == "untrained"]
        reached = f"{len(nets)} of {len(every)} networks reached the training loss."

        name = "flatness_ranks_test_error"
        yield Signature(name, tau(nets, "flatness"), above=TAU, note=reached)
        note = f"Mean over {_PERMUTATIONS} permutations of the test errors within each seed."
        permuted = tau(nets, "flatness", permutations=_PERMUTATIONS)
        yield Control("flatness_ranks_permuted_test_errors", permuted, above=TAU, note=note)
        if len(untrained):
            yield Control(f"untrained_{name}", tau(untrained, "flatness"), above=TAU)

        change = largest_change(nets, nets.logit_change, "logits under rescaling")
        yield Signature("rescaling_keeps_the_logits", change, below=SAME)
        for kind, column in ((Signature, "flatness"), (Control, "trace")):
            change = largest_change(nets, nets[f"rescaled_{column}"] / nets[column] - 1, column)
            yield kind(f"{column}_stays_under_rescaling", change, below=SAME)
        change = nets.rescaled_trace * nets.factor**2 / nets["trace"] - 1
        change = largest_change(nets, change, "trace times squared factor")
        yield Signature("trace_falls_by_the_squared_factor", change, below=SAME)
        for kind, column in ((Signature, "flatness"), (Control, "raw_flatness")):
            change = largest_change(nets, nets[f"neuronwise_{column}"] / nets[column] - 1, column)
            yield kind(f"{column}_stays_under_neuronwise_rescaling", change, below=SAME)
        for kind, column in ((Signature, "trace"), (Control, "flatness")):
            name = f"rescaling_loses_the_ranking_by_{column}"
            yield kind(name, tau(nets, column, less=f"rescaled_{column}"), above=FALL)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        nets = stopped(table[table.arm == "trained"])
        measure, other = number.setting.get("measure"), number.setting.get("other")
        if len(nets) < 4:
            return None
        if number.metric.startswith("Pearson"):
            layer = number.setting.get("layer")
            chosen = nets.layer_bounds.str[layer - 1] if layer else nets[measure]
            return pearson(chosen, nets[other] if other else None, nets, config.seed), None
        # The authors counted five hidden layers of LeNet-5, which has four.
        scale = 6 / 5 if measure == "fisher_rao" else 1.0
        return stats.mean(scale * nets[measure], number.metric), None


def _trained(config: Config, seed: int) -> Iterator[Trial]:
    names = [one.name for one in RelativeFlatness.measures]
    taken = None if config.layerwise else tuple(n for n in names if n != "layer_bounds")
    rates = [(name, rate) for name, rates in config.optimizers.items() for rate in rates]
    grid = itertools.product(rates, config.batch_sizes, config.weight_decays)
    for (optimizer, rate), batch, decay in grid:
        epoch = -(-config.train // batch)
        tags = {"optimizer": optimizer, "rate": rate, "batch": batch, "decay": decay}
        yield Trial(
            **_shared(config, seed),
            optimizer=Spec(optimizer, learning_rate=rate, weight_decay=decay, coupled=True),
            batch_size=batch,
            epochs=config.epochs,
            # The loss is looked at after each epoch.
            curve=tuple(range(epoch, epoch * config.epochs + 1, epoch)),
            stop_at_loss=config.stop_at_loss,
            measures=taken,
            tags={"arm": "trained", "seed": seed, **tags},
        )


def _untrained(config: Config, seed: int) -> Iterator[Trial]:
    """Yields networks of other initial weights, 0.3 to 3 times as large, that learn at rate 0."""
    for index in range(config.untrained):
        scale = 0.3 * 10 ** (index / max(config.untrained - 1, 1))
        yield Trial(
            **_shared(config, seed),
            optimizer=Spec("sgd", learning_rate=0.0),
            steps=1,
            start=Spec("scaled", factor=scale),
            stream_seeds={"init": _MOST_UNTRAINED * (seed + 1) + index},
            measures=("flatness", "test_error", "test_loss", "train_loss"),
            tags={"arm": "untrained", "seed": seed, "scale": scale},
        )


def _shared(config: Config, seed: int) -> dict:
    data = Data(config.data, config.train, config.test, config.split)
    return {"model": Spec(**config.model), "data": data, "seed": seed}
