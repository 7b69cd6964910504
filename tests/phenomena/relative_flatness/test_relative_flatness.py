"""Relative flatness: the grid, the verdicts, and the measures of rescaled networks."""

import dataclasses
import math

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.relative_flatness.findings import kendall, stopped, tau
from tfphen.phenomena.relative_flatness.measures import COLUMNS, MEASURES, network_measures
from tfphen.phenomena.relative_flatness.phenomenon import RelativeFlatness
from tfphen.phenomena.relative_flatness.trials import Config
from tfphen.verdicts import findings, published

OPTIMIZERS = {"sgd": [0.1, 0.05], "adam": [0.001, 0.003], "rmsprop": [0.001, 0.003]}
EVERYTHING = Config(optimizers=OPTIMIZERS, untrained=50, seeds=10, seed=0)


def a_table(config, ranks=1.0, trace_ranks=1.0, **columns):
    """A table of the grid with synthetic measures.

    Args:
        config: Settings.
        ranks: Weight of relative flatness in the test error, beside noise of weight 1/2.
        trace_ranks: The same of the trace.
        **columns: Values, or functions of the table, that replace columns.
    """
    import pandas as pd

    generator = np.random.default_rng(config.seed)
    table = pd.DataFrame([dict(trial.tags) for trial in RelativeFlatness().trials(config)])
    size, trained = len(table), table.arm == "trained"
    draws = generator.normal(size=(3, size))
    table["test_error"] = 0.5 + 0.01 * (ranks * draws[0] + trace_ranks * draws[1] + draws[2] / 2)
    table.loc[~trained, "test_error"] = 0.9 + 0.01 * draws[2][~trained]
    # Seeds differ more than networks do: a correlation over all networks would see just that.
    table["test_error"] += 0.3 * table.seed
    table["flatness"] = 200 * np.exp(0.2 * draws[0]) * 0.5**table.seed
    table["trace"] = 20 * np.exp(0.2 * draws[1])
    table["factor"] = 10 ** generator.uniform(-1.5, 1.5, size)
    table["raw_flatness"] = table.flatness * np.exp(0.1 * draws[2])
    for name in set(MEASURES) - set(table.columns):
        table[name] = np.exp(generator.normal(size=size))
    for name in MEASURES:
        table[f"rescaled_{name}"] = table[name]
    table["rescaled_trace"] = table["trace"] / table.factor**2
    table["neuronwise_flatness"] = table.flatness * (1 + 1e-14)
    table["neuronwise_raw_flatness"] = 50 * table.raw_flatness
    table["logit_change"] = 1e-15
    table["train_loss"] = 0.09 + 0.003 * generator.normal(size=size)
    table["test_loss"] = 2.5 + 0.1 * draws[0]
    table["stopped_at"] = np.where(trained, 1000, -1)
    table["layer_bounds"] = list(np.outer(draws[0], [1.0, -1.0, 1.0, 1.0]))
    for name, value in columns.items():
        table[name] = value(table) if callable(value) else value
    # Findings must go by the seed, not by the order of rows.
    return table.sample(frac=1.0, random_state=3)


def verdicts(config=EVERYTHING, **settings):
    results = list(RelativeFlatness().findings(a_table(config, **settings), config))
    return {result.id: result.verdict for result in results}, findings.overall(results)


def test_shown_and_with_silent_controls():
    by_id, verdict = verdicts()
    controls = {
        "permuted_test_errors/flatness_tau",
        "untrained/flatness_tau",
        "rescaled_layers/trace_change",
        "rescaled_neurons/raw_flatness_change",
        "rescaled_layers/flatness_tau_loss",
    }
    assert verdict == "present"
    assert {name for name, outcome in by_id.items() if outcome == "absent"} == controls


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"ranks": -1.0}, "trained/flatness_tau"),
        ({"trace_ranks": -1.0}, "rescaled_layers/trace_tau_loss"),
        ({"logit_change": 1e-3}, "rescaled_layers/logit_change"),
        (
            {"rescaled_flatness": lambda t: t.flatness * (1 + 1e-4)},
            "rescaled_layers/flatness_change",
        ),
        (
            {"rescaled_trace": lambda t: t["trace"] / t.factor},
            "rescaled_layers/scaled_trace_change",
        ),
        (
            {"neuronwise_flatness": lambda t: 1.001 * t.flatness},
            "rescaled_neurons/flatness_change",
        ),
    ],
)
def test_each_signature_can_be_absent(settings, finding):
    by_id, verdict = verdicts(**settings)
    assert by_id[finding] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("settings", "control"),
    [
        ({"rescaled_trace": lambda t: t["trace"]}, "rescaled_layers/trace_change"),
        (
            {"neuronwise_raw_flatness": lambda t: t.raw_flatness},
            "rescaled_neurons/raw_flatness_change",
        ),
        (
            {"rescaled_flatness": lambda t: t.flatness / t.factor**2},
            "rescaled_layers/flatness_tau_loss",
        ),
        (
            {"test_error": lambda t: 0.5 + 0.01 * np.log(t.flatness)},
            "untrained/flatness_tau",
        ),
    ],
)
def test_a_control_that_fires_makes_everything_inconclusive(settings, control):
    by_id, verdict = verdicts(**settings)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_errors_permuted_over_seeds_would_fire():
    # The control permutes within a seed. If it kept the pairs it would be the signature itself.
    nets = stopped(a_table(EVERYTHING))
    plain = tau(nets, "flatness")
    assert plain.value > 0.3
    assert abs(tau(nets, "flatness", permutations=20).value) < 0.1
    # Flatness falls and the error rises from seed to seed: over all networks the sign is reversed.
    assert kendall(nets.flatness, nets.test_error) < -0.5


def test_partial_tau_removes_what_the_training_loss_explains():
    nets = stopped(a_table(EVERYTHING))
    loss, noise = np.log(nets.flatness), np.random.default_rng(0).normal(size=(2, len(nets)))
    nets = nets.assign(train_loss=loss, test_error=loss + 0.05 * noise[0])
    nets = nets.assign(flatness=loss + 0.05 * noise[1])
    assert tau(nets, "flatness").value > 0.6
    assert tau(nets, "flatness", given="train_loss").value < 0.3


def test_networks_that_do_not_reach_the_loss_are_dropped_and_counted():
    def some(table):
        return np.where((table.arm == "trained") & (table.index % 5 > 0), 1000, -1)

    table = a_table(EVERYTHING, stopped_at=some)
    # One that diverged has no measures.
    table.loc[table.stopped_at < 0, ["flatness", "test_error"]] = np.nan
    first = next(iter(RelativeFlatness().findings(table[table.arm == "trained"], EVERYTHING)))
    assert first.verdict == "present"
    reached = int((table.stopped_at >= 0).sum())
    assert first.note == f"{reached} of 240 networks reached the training loss."
    assert 0 < reached < 240
    none = a_table(EVERYTHING, stopped_at=-1)
    results = list(RelativeFlatness().findings(none, EVERYTHING))
    assert findings.overall(results) == "inconclusive"
    assert results[0].estimate.n == 0


# ---- the grid ----------------------------------------------------------------------------------


def test_one_population_for_each_optimizer_and_batch_size():
    trials = list(RelativeFlatness().trials(EVERYTHING))
    groups = plan.groups(trials)
    assert sorted(len(group.trials) for group in groups) == [40] * 6 + [244, 256]
    for group in groups:
        kinds = {(trial.optimizer.name, trial.batch_size) for trial in group.trials}
        assert len(kinds) == 1
    for trial in trials:
        if trial.tags["arm"] == "trained":
            assert trial.optimizer.settings["coupled"] is True
            assert "layer_bounds" not in trial.measures
            assert trial.curve[0] == math.ceil(1000 / trial.batch_size)
            assert len(trial.curve) == 300
        else:
            assert trial.optimizer.settings["learning_rate"] == 0.0
    starts = [t.start.settings["factor"] for t in trials if t.tags["arm"] == "untrained"]
    assert (min(starts), max(starts)) == pytest.approx((0.3, 3.0))
    drawn = {t.seed_of("init") for t in trials if t.tags["arm"] == "untrained"}
    assert len(drawn) == 500


def test_invalid_settings():
    with pytest.raises(UsageError, match=r"`optimizers` has lists .*Received: sgd=\[0.1, -1\]"):
        Config(optimizers={"sgd": [0.1, -1]})
    with pytest.raises(UsageError, match="`optimizers` has lists"):
        Config(optimizers={"sgd": 0.1})
    with pytest.raises(UsageError, match="`stop_at_loss` must be positive"):
        Config(stop_at_loss=0.0)
    with pytest.raises(UsageError, match="`untrained` lies in"):
        Config(untrained=-1)
    with pytest.raises(UsageError, match="`layerwise` is for an `mlp`"):
        Config(layerwise=True, model={"name": "mlp", "skip": True})


# ---- published numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", ["mnist_layerwise", "cifar10_lenet5"])
def test_published_numbers_find_ours(experiment):
    config = RelativeFlatness.configure("paper", experiment, {"seed": 0})
    table = a_table(dataclasses.replace(config, seeds=3))
    numbers = [n for n in published.load("relative_flatness") if n.experiment == experiment]
    assert {number.provenance for number in numbers} == {"read"}
    ours = {}
    for number in numbers:
        estimate, baseline = RelativeFlatness().reproductions(table, config, number)
        assert baseline is None
        assert estimate.low <= estimate.value <= estimate.high
        ours[tuple(number.setting.values())] = estimate.value
    if experiment == "mnist_layerwise":
        assert [n.value for n in numbers if "layer" in n.setting] == [0.73, 0.70, 0.72, 0.71]
        assert ours["layer_bounds", 1] > 0.99
        assert ours["layer_bounds", 2] < -0.99
        return
    assert len(numbers) == 10
    nets = stopped(table)
    r = {name: np.corrcoef(nets[name], nets.gap)[0, 1] for name in MEASURES}
    assert ours["flatness", "trace"] == pytest.approx(r["flatness"] - r["trace"])
    assert ours["fisher_rao",] == pytest.approx(1.2 * nets.fisher_rao.mean())
    assert ours["gap",] == pytest.approx(2.41, abs=0.05)


def test_layers_are_measured_where_the_experiment_asks_for_it():
    config = RelativeFlatness.configure("paper", "mnist_layerwise")
    first = next(iter(RelativeFlatness().trials(config)))
    assert config.layerwise
    assert first.measures is None
    assert len(config.model["hidden_units"]) == 4


def test_figure():
    from matplotlib.figure import Figure

    config = dataclasses.replace(EVERYTHING, seeds=2)
    figure = Figure(layout="constrained")
    RelativeFlatness().figure(a_table(config), config, figure)
    left, rescaled, error, gap = figure.axes
    assert len(left.lines) == len(rescaled.lines) == 3
    assert sum(len(line.get_xdata()) for line in left.lines) == 48
    assert next(text.get_text() for text in error.get_yticklabels()) == "relative flatness"
    assert len(error.containers) == len(gap.containers) == 2


# ---- one network, rescaled ---------------------------------------------------------------------


def a_layer(dead=2, seed=0):
    generator = np.random.default_rng(seed)
    features = np.maximum(generator.normal(size=(200, 16)), 0.0)
    features[:, :dead] = 0.0
    kernel, bias = generator.normal(size=(16, 10)), generator.normal(size=10)
    labels = (features @ kernel + bias).argmax(-1)
    return features, kernel, bias, labels


def a_trial(seed=0):
    return next(iter(RelativeFlatness().trials(dataclasses.replace(EVERYTHING, seed=seed))))


def test_of_a_rescaled_network_only_some_measures_change():
    measures = network_measures(a_trial(), *a_layer(), 2)
    assert set(measures) == set(COLUMNS)
    factor = measures["factor"]
    assert abs(math.log10(factor)) > 0.05
    for name in ("flatness", "raw_flatness", "maximal_flatness", "fisher_rao"):
        assert measures[f"rescaled_{name}"] == pytest.approx(measures[name], rel=1e-9)
    for name, power in (("trace", -2), ("max_eigenvalue", -2), ("squared_norm", 2)):
        assert measures[f"rescaled_{name}"] == pytest.approx(
            measures[name] * factor**power, rel=1e-9
        )
    # The noise that the layer tolerates grows with it; what is left is the logarithm of n / sigma.
    expected = measures["pac_bayes"] - math.log(factor)
    assert measures["rescaled_pac_bayes"] == pytest.approx(expected, rel=1e-9)
    assert measures["neuronwise_flatness"] == pytest.approx(measures["flatness"], rel=1e-9)
    assert abs(measures["neuronwise_raw_flatness"] / measures["raw_flatness"] - 1) > 0.1
    assert measures["logit_change"] < 1e-13
    other = network_measures(a_trial(1), *a_layer(), 2)
    assert other["factor"] != factor
    assert other["flatness"] == measures["flatness"]


def test_dead_neurons_leave_relative_flatness_invariant():
    from tfphen.metrics import relative_flatness

    layer = a_layer(dead=3)
    measures = network_measures(a_trial(), *layer, 2)
    assert measures["constant_features"] == 3
    alive = layer[0][:, 3:], layer[1][3:], *layer[2:]
    assert measures["flatness"] == pytest.approx(
        relative_flatness(*alive, standardize=True), rel=1e-9
    )
    for kind in ("rescaled", "neuronwise"):
        assert measures[f"{kind}_flatness"] == pytest.approx(measures["flatness"], rel=1e-9)


# ---- through the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained_records(tensorflow, tmp_path_factory):
    """A few small networks through the engine: trials and their records."""
    from tfphen.experiment import runner

    config = Config(
        train=100,
        test=100,
        model={"name": "mlp", "hidden_units": [24, 12]},
        optimizers={"adam": [0.03, 1e-6]},
        batch_sizes=(20,),
        weight_decays=(0.0,),
        epochs=40,
        untrained=3,
        layerwise=True,
        seeds=1,
        seed=0,
    )
    trials = list(RelativeFlatness().trials(config))
    records = runner.run(RelativeFlatness(), trials, tmp_path_factory.mktemp("records"))
    return config, [(trial, records[trial.id]) for trial in trials]


def test_training_stops_after_the_first_epoch_at_the_loss(trained_records):
    config, pairs = trained_records
    fast, slow = [record.values for trial, record in pairs if trial.tags["arm"] == "trained"]
    assert slow["stopped_at"] == -1
    assert 0 < fast["stopped_at"] < 5 * config.epochs
    assert fast["stopped_at"] % 5 == 0
    assert 0.01 < fast["train_loss"] <= config.stop_at_loss
    assert slow["train_loss"] > 1.0
    assert fast["logit_change"] < 1e-12
    assert fast["rescaled_flatness"] == pytest.approx(fast["flatness"], rel=1e-9)


def test_untrained_networks_are_as_drawn_and_scaled(trained_records):
    _, pairs = trained_records
    untrained = [record.values for trial, record in pairs if trial.tags["arm"] == "untrained"]
    losses = [values["train_loss"] for values in untrained]
    assert losses[0] == pytest.approx(math.log(10), abs=0.05)
    assert losses[2] > losses[0] + 0.3
    assert set(untrained[0]) >= {"flatness", "test_error", "test_loss", "train_loss"}
    assert "trace" not in untrained[0]


def test_a_network_with_rescaled_weights_is_measured_so(trained_records, tensorflow):
    """Rescales the weights themselves: ReLU layers pass the factor on to their features."""
    import keras

    from tfphen.metrics import hessian_trace, relative_flatness
    from tfphen.models import mlp

    model = mlp((40,), 10, hidden_units=(24, 12), seed=3)
    inputs = np.random.default_rng(0).normal(size=(64, 40)).astype("float32")
    below = keras.Model(model.inputs[0], model.get_layer("features").output)
    labels = np.arange(64) % 10

    def measured():
        layer = np.asarray(below(inputs)), *model.get_layer("logits").get_weights(), labels
        flat = relative_flatness(*layer, standardize=True)
        return flat, hessian_trace(*layer), np.asarray(model(inputs))

    flat, trace, logits = measured()
    for name, factor in (("hidden_2", 1 / 17.0), ("logits", 17.0)):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        layer.set_weights([factor * kernel, bias if name == "logits" else factor * bias])
    scaled, scaled_trace, scaled_logits = measured()
    assert scaled == pytest.approx(flat, rel=1e-5)
    assert scaled_trace == pytest.approx(trace / 17.0**2, rel=1e-5)
    np.testing.assert_allclose(scaled_logits, logits, atol=1e-5)


def test_hidden_layers_are_measured(trained_records):
    _, pairs = trained_records
    bounds = [r.arrays["layer_bounds"] for t, r in pairs if t.tags["arm"] == "trained"]
    assert bounds[0].shape == (2,)
    assert (np.stack(bounds) > 0).all()
