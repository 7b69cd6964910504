"""Lottery tickets: what a round of pruning does to real networks."""

import dataclasses
import functools

import numpy as np
import pytest

from tfphen.experiment import plan
from tfphen.phenomena.lottery_ticket.phenomenon import LotteryTicket
from tfphen.phenomena.lottery_ticket.trials import CONTROLS, Config

TINY = Config(
    train=400,
    test=300,
    validation=100,
    model="mlp",
    model_settings={"hidden_units": (40, 20)},
    steps=100,
    early_step=20,
    rounds=3,
    matching_rounds=(1,),
    control_rounds=(),
    seed=0,
)
RATES = (0.0, 0.4, 0.993)


def trial_of(config, arm, number, seed=0):
    wanted = {"arm": arm, "round": number, "seed": seed}
    return next(t for t in LotteryTicket().trials(config) if wanted.items() <= t.tags.items())


def with_rate(rate):
    return dataclasses.replace(TINY, rate=rate)


@pytest.fixture(scope="module")
def records(tensorflow, tmp_path_factory):
    """Records of the dense network, of a first round at each rate, and of a second one."""
    from tfphen.experiment import runner

    trials = [trial_of(with_rate(rate), "ticket", 1, seed) for rate in RATES for seed in (0, 1)]
    trials += [trial_of(with_rate(0.4), "ticket", 2, seed) for seed in (0, 1)]
    assert len(plan.groups(trials)) == 3
    return runner.run(LotteryTicket(), trials, tmp_path_factory.mktemp("records"))


@functools.cache
def template():
    from tfphen import models

    return models.get(TINY.model)((64,), 10, **TINY.model_settings)


def begin(records, trial):
    """Starting weights and masks of a trial by path, given the records of others, and theta_0."""
    from tfphen.experiment.resolve import recipe_of
    from tfphen.population.initial_weights import initial_weights
    from tfphen.train import initialization

    model = template()
    given = {name: records[r.trial.id].arrays[r.array] for name, r in trial.inputs.items()}
    recipe = recipe_of(LotteryTicket(), [trial])
    weights, masks = initialization.initialize(model, [trial], [given], recipe.initializers)
    paths = [variable.path for variable in model.weights]
    return (
        {path: value[0] for path, value in zip(paths, weights, strict=True)},
        {path: value[0].astype(bool) for path, value in masks.items()},
        dict(zip(paths, initial_weights(model, trial.seed), strict=True)),
    )


def test_a_ticket_begins_at_the_values_of_the_first_round_bit_for_bit(records):
    for number in (1, 2):
        weights, masks, first = begin(records, trial_of(with_rate(0.4), "ticket", number))
        assert list(masks) == [path for path in first if path.endswith("kernel")]
        for path, value in first.items():
            np.testing.assert_array_equal(weights[path], value)
            assert path.endswith("kernel") or not value.any()
    # 2560, 800 and 200 weights; hidden layers lose 40% twice, the output layer 20%.
    assert [int(mask.sum()) for mask in masks.values()] == [922, 288, 128]


def test_layers_pruned_together_lose_as_much_in_all(records):
    config = dataclasses.replace(with_rate(0.4), scope="global")
    _, layerwise, _ = begin(records, trial_of(with_rate(0.4), "ticket", 1))
    weights, masks, first = begin(records, trial_of(config, "ticket", 1))
    assert [int(mask.sum()) for mask in layerwise.values()] == [1536, 480, 160]
    counts = [int(mask.sum()) for mask in masks.values()]
    assert sum(counts) == round(0.6 * (2560 + 800 + 200))
    assert counts != [1536, 480, 160]
    trained = records[trial_of(TINY, "dense", 0).id].arrays["weights"]
    left = np.concatenate([masks.get(p, np.zeros(v.shape, bool)).ravel() for p, v in first.items()])
    gone = np.concatenate(
        [~masks[p].ravel() if p in masks else np.zeros(v.size, bool) for p, v in first.items()]
    )
    assert abs(trained[gone]).max() <= abs(trained[left]).min()
    assert all((weights[path] == first[path]).all() for path in first)


def test_a_random_mask_and_a_fresh_draw_change_one_thing_each(records):
    config = dataclasses.replace(with_rate(0.4), control_rounds=(2,))
    by_arm = {
        t.tags["arm"]: begin(records, t)
        for t in LotteryTicket().trials(config)
        if t.tags["round"] == 2 and t.seed == 0
    }
    assert list(by_arm) == ["ticket", *CONTROLS]
    _, masks, first = by_arm["ticket"]
    for arm, (other, left, _) in by_arm.items():
        same_mask = all((left[path] == masks[path]).all() for path in masks)
        assert same_mask == (not arm.startswith("random_mask"))
        assert [m.sum() for m in left.values()] == [m.sum() for m in masks.values()]
        same = all((other[path][left[path]] == first[path][left[path]]).all() for path in masks)
        assert same == (arm in ("ticket", "random_mask"))
    left = [by_arm[arm][1]["hidden_1/kernel"] for arm in ("random_mask", "random_mask_reinit")]
    np.testing.assert_array_equal(*left)


def test_pruned_weights_stay_zero_and_the_others_move(records):
    for number, share in ((1, 0.6112), (2, 0.3758)):
        record = records[trial_of(with_rate(0.4), "ticket", number).id]
        values, left = record.arrays["weights"], record.arrays["masks"]
        assert (values[~left] == 0).all()
        kernels = values[: 64 * 40]
        assert (kernels[left[: 64 * 40]] != 0).all()
        assert record.values["density"] == pytest.approx(share, abs=1e-4)
    dense = records[trial_of(TINY, "dense", 0).id]
    assert dense.arrays["masks"].all()
    assert dense.values["density"] == 1.0
    # The second mask is nested in the first, and keeps its largest weights.
    first = records[trial_of(with_rate(0.4), "ticket", 1).id].arrays
    assert not (left & ~first["masks"]).any()
    hidden = slice(0, 64 * 40)
    gone = abs(first["weights"][hidden])[first["masks"][hidden] & ~left[hidden]]
    assert gone.max() <= abs(first["weights"][hidden])[left[hidden]].min()


def test_a_ticket_with_all_weights_is_the_dense_network(records):
    for seed in (0, 1):
        dense = records[trial_of(TINY, "dense", 0, seed).id]
        ticket = records[trial_of(with_rate(0.0), "ticket", 1, seed).id]
        assert ticket.values["density"] == 1.0
        for name in ("weights", "curve_validation_loss", "curve_test_error"):
            np.testing.assert_array_equal(ticket.arrays[name], dense.arrays[name])


def test_accuracy_falls_when_nearly_everything_is_pruned(records):
    for seed in (0, 1):
        few = records[trial_of(with_rate(0.993), "ticket", 1, seed).id]
        dense = records[trial_of(TINY, "dense", 0, seed).id]
        assert dense.values["test_error"] < 0.3
        assert few.values["test_error"] > 0.6


def test_the_curve_has_the_validation_loss_at_each_evaluation(records):
    record = records[trial_of(TINY, "dense", 0).id]
    assert record.arrays["curve_step"].tolist() == [20, 40, 60, 80, 100]
    assert record.arrays["curve_test_error"][-1] == record.values["test_error"]
    assert record.arrays["curve_validation_loss"][-1] < record.arrays["curve_validation_loss"][0]


def test_rewound_tickets_begin_where_the_dense_network_was(records, tmp_path):
    from tfphen.experiment import runner

    config = dataclasses.replace(with_rate(0.4), rewind_steps=20, control_rounds=(1,))
    ticket, reinit = (trial_of(config, arm, 1) for arm in ("ticket", "reinit"))
    short = ticket.inputs["rewound"].trial
    assert (short.steps, short.curve, short.seed) == (20, (), 0)
    ran = {**records, **runner.run(LotteryTicket(), [short], tmp_path)}
    weights, masks, first = begin(ran, ticket)
    flat = np.concatenate([value.ravel() for value in weights.values()])
    np.testing.assert_array_equal(flat, ran[short.id].arrays["weights"])
    assert abs(weights["hidden_1/kernel"] - first["hidden_1/kernel"]).max() > 0.01
    plain = begin(records, trial_of(with_rate(0.4), "ticket", 1))[1]
    assert all((masks[path] == plain[path]).all() for path in masks)
    fresh = begin(ran, reinit)[0]
    assert abs(fresh["hidden_1/kernel"] - weights["hidden_1/kernel"]).max() > 0.1
    assert not fresh["hidden_1/bias"].any()
