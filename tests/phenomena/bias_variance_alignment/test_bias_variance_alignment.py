"""Bias-variance alignment: the grid, and findings on tables with and without the effect."""

import collections
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.bias_variance_alignment.phenomenon import BiasVarianceAlignment
from tfphen.phenomena.bias_variance_alignment.trials import Config
from tfphen.verdicts import findings, published

from .. import harness

ENSEMBLES, MEMBERS, POINTS, CLASSES = 5, 32, 250, 3


def aligned(generator, noise):
    """Logit gaps with noise of one size: variance is (exp(noise²) - 1) times squared bias."""
    return generator.uniform(2, 9, POINTS) + noise * generator.standard_normal((MEMBERS, POINTS))


def uneven(generator, noise):
    """The size of the noise differs from point to point."""
    return aligned(generator, noise * generator.uniform(0.3, 2, POINTS))


def even(generator, noise):
    """Probabilities with noise of one size, wherever their mean is."""
    error = generator.uniform(0.1, 0.4, POINTS)
    error = error + noise * generator.uniform(-0.1, 0.1, (MEMBERS, POINTS))
    return np.log1p(-error) - np.log(error)


def table(wide=(aligned, 0.75), narrow=(uneven, 0.75), linear=(aligned, 0.1), others=(even, 1.0)):
    arms = {"wide": wide, "narrow": narrow, "linear": linear}
    arms |= {"one_epoch": others, "shuffled_labels": others}
    rows = []
    for arm, (law, noise) in arms.items():
        for ensemble in range(ENSEMBLES):
            generator = np.random.default_rng([ensemble, len(arm)])
            labels = generator.integers(0, CLASSES, POINTS).astype("uint16")
            gaps = law(generator, noise)
            # The label has the gap to the next class; the third has hardly any probability.
            logits = np.full((MEMBERS, POINTS, CLASSES), -40.0)
            logits[:, np.arange(POINTS), labels] = gaps
            logits[:, np.arange(POINTS), (labels + 1) % CLASSES] = 0.0
            for member, values in enumerate(logits - np.logaddexp(gaps, 0)[..., None]):
                cells = {"test_labels": labels, "test_log_probabilities": values}
                rows.append({"arm": arm, "ensemble": ensemble, "member": member, **cells})
    return pd.DataFrame(rows)


def verdicts(rows, config=None):
    results = list(BiasVarianceAlignment().findings(rows, config or Config()))
    return {result.id: result.verdict for result in results}, findings.overall(results)


class TestFindings(harness.Findings):
    kind, config = BiasVarianceAlignment, Config()
    FLIPS: ClassVar = {
        "wide/slope": {"wide": (even, 1.0)},
        "wide/r_squared": {"wide": (even, 1.0)},
        "wide/median_log_ratio": {"wide": (aligned, 0.2)},
        "wide/share_bounded": {"wide": (aligned, 2.0)},
        "wide/r_squared_gain_over_narrow": {"narrow": (aligned, 0.75)},
    }
    # Where members hardly differ the control of the bound answers.
    OVERALL: ClassVar = {"wide/slope": "inconclusive", "wide/r_squared": "inconclusive"}
    ANSWERS: ClassVar = {"linear/median_log_ratio": {"linear": (aligned, 0.75)}}

    def table(self, change):
        return table(**change)


def test_variance_that_does_not_follow_squared_bias_is_detected():
    by_id, overall = verdicts(table(wide=(even, 1.0)))
    assert (
        by_id["wide/slope"]
        == by_id["wide/r_squared"]
        == by_id["wide/median_log_ratio"]
        == by_id["wide/r_squared_gain_over_narrow"]
        == "absent"
    )
    # Where members hardly differ any variance is bounded, a permuted one too: the control fires.
    assert by_id["wide/share_bounded"] == by_id["wide_permuted/share_bounded"] == "present"
    assert overall == "inconclusive"


def test_a_constant_ratio_other_than_one_is_detected_by_the_median_alone():
    by_id, overall = verdicts(table(wide=(aligned, 0.2)))
    assert (
        by_id["wide/slope"] == by_id["wide/r_squared"] == by_id["wide/share_bounded"] == "present"
    )
    assert by_id["wide/median_log_ratio"] == "absent"
    assert overall == "absent"
    by_id, _ = verdicts(table(wide=(aligned, 2.0)))
    assert by_id["wide/median_log_ratio"] == by_id["wide/share_bounded"] == "absent"


def test_findings_repeat_exactly_and_need_no_trained_controls():
    rows = table()
    rows = rows[rows.arm.isin(("wide", "narrow"))]
    config = Config(control_members=0)
    first, second = (list(BiasVarianceAlignment().findings(rows, config)) for _ in range(2))
    assert [finding.to_json() for finding in first] == [finding.to_json() for finding in second]
    assert "linear/median_log_ratio" not in {finding.id for finding in first}
    assert findings.overall(first) == "present"


def test_where_nothing_is_correct_the_line_is_undefined_and_nothing_is_claimed():
    rows = table()
    rows["test_labels"] = [(labels + 2) % CLASSES for labels in rows.test_labels]
    by_id, _ = verdicts(rows)
    assert (
        by_id["wide/slope"]
        == by_id["wide/median_log_ratio"]
        == by_id["wide/r_squared_gain_over_narrow"]
        == "inconclusive"
    )


def test_the_plan_of_the_small_size():
    config = BiasVarianceAlignment.configure("small", overrides={"seed": 0})
    trials = list(BiasVarianceAlignment().trials(config))
    assert len({trial.id for trial in trials}) == len(trials)
    counts = collections.Counter((t.tags["arm"], t.tags["ensemble"]) for t in trials)
    few = dict.fromkeys(("linear", "one_epoch", "shuffled_labels"), config.control_members)
    wanted = {"wide": config.members, "narrow": config.members, **few}
    assert counts == {(arm, one): n for arm, n in wanted.items() for one in range(config.seeds)}
    for trial in trials:
        ensemble = trial.tags["ensemble"]
        assert trial.seed_of("split") == trial.seed_of("subset") == ensemble
        assert trial.seed_of("bootstrap") == trial.seed_of("init") == trial.seed
        names = [spec.name for spec in trial.data.corruptions]
        shuffled = trial.tags["arm"] == "shuffled_labels"
        # The members of an ensemble share the shuffled labels and then draw from them.
        assert names == ["random_labels", "bootstrap"] if shuffled else names == ["bootstrap"]
        assert not shuffled or trial.seed_of("random_labels") == ensemble
    # Shuffled labels train together with the large model.
    assert len({plan.graph_key(trial) for trial in trials}) == 4


def test_without_bootstrap_members_share_their_examples():
    config = Config(seed=0, seeds=1, members=4, control_members=0, bootstrap=False)
    trials = list(BiasVarianceAlignment().trials(config))
    assert [trial.data.corruptions for trial in trials] == [()] * 8


@pytest.mark.parametrize("overrides", [{"members": 3}, {"control_members": 1}], ids=str)
def test_invalid_settings(overrides):
    with pytest.raises(UsageError, match="at least 4 members"):
        BiasVarianceAlignment.configure("small", overrides=overrides)


def test_published_numbers():
    numbers = published.load("bias_variance_alignment")
    assert len(numbers) == 7 and all(number.source for number in numbers)
    kinds = collections.Counter(number.provenance for number in numbers)
    assert kinds == {"read": 5, "derived": 1, "recalled": 1}
    slope = next(number for number in numbers if number.experiment == "cifar10_resnet56")
    ours, baseline = BiasVarianceAlignment().reproductions(table(), Config(), slope)
    assert baseline is None and ours.n == ENSEMBLES
    assert ours.value == pytest.approx(1, abs=0.05)
    theory = next(number for number in numbers if number.experiment == "theory_two_classes")
    assert BiasVarianceAlignment().reproductions(table(), Config(), theory) is None


def test_figure():
    from matplotlib.figure import Figure

    figure = Figure()
    config = BiasVarianceAlignment.configure("small")
    BiasVarianceAlignment().figure(table(), config, figure)
    wide, narrow = figure.axes
    assert (wide.get_title(), narrow.get_title()) == ("mlp [256, 256]", "mlp [8, 8]")
    assert sum(len(dots.get_offsets()) for dots in wide.collections) == POINTS


@pytest.mark.parametrize("depth, count", [(20, 269_722), (56, 853_018)])
def test_the_networks_of_the_paper(tensorflow, depth, count):
    from tfphen.phenomena.bias_variance_alignment.model import cifar_resnet

    model = cifar_resnet((32, 32, 3), 10, depth=depth)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count
    layers = [layer.name for layer in model.layers if "conv" in layer.name or layer.name == "stem"]
    assert len([name for name in layers if not name.endswith(("norm", "padding"))]) == depth - 1
