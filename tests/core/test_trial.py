"""A trial is plain data whose identity is a hash of its non-default settings."""

import dataclasses
import subprocess
import sys

import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment import plan

NOISE = (Spec("label_noise", rate=0.2),)


def trial(**settings):
    return Trial(**{"model": Spec("mlp", hidden_units=(10,)), "epochs": 3, **settings})


# A new field with a do-nothing default must leave these as they are: old records stay valid.
def test_known_hashes_stay():
    assert trial().id == "c962dbfcff6747d6"
    assert trial(seed=7, data=Data("mnist1d", corruptions=NOISE)).id == "990fc1df8ba807df"
    assert trial(inputs={"transition_matrix": Result(trial(), "estimate")}).id == "659a53cb0b57bf74"


def test_a_new_field_with_a_default_leaves_hashes_valid():
    @dataclasses.dataclass(frozen=True)
    class Later(Trial):
        something_new: float = 0.0

    assert Later(model=Spec("mlp", hidden_units=(10,)), epochs=3).id == trial().id
    changed = Later(model=Spec("mlp", hidden_units=(10,)), epochs=3, something_new=1.0)
    assert changed.id != trial().id


def test_identity_ignores_tags_and_order_and_sees_everything_else():
    assert trial(tags={"arm": "a"}).id == trial().id
    assert Spec("a", x=1, y=2) == Spec("a", y=2, x=1)
    assert hash(Spec("a", x=[1, 2])) == hash(Spec("a", x=(1, 2)))
    others = [
        trial(seed=1),
        trial(batch_size=64),
        trial(stream_seeds={"split": 3}),
        trial(data=Data("digits", train=100)),
        trial(optimizer=Spec("sgd")),
        trial(curve=(1, 2)),
        trial(inputs={"m": Result(trial(seed=5), "t")}),
        trial(inputs={"m": Result(trial(seed=6), "t")}),
    ]
    assert len({t.id for t in [trial(), *others]}) == len(others) + 1
    assert len(set(others)) == len(others)


def test_the_hash_is_the_same_in_another_process():
    code = (
        "from tfphen.core.trial import *;"
        "print(Trial(model=Spec('mlp', hidden_units=(10,)), epochs=3).id)"
    )
    for seed in ("1", "2"):
        output = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        assert output.strip() == trial().id


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": None}, "either `epochs` or `steps`"),
        ({"steps": 3}, "either `epochs` or `steps`"),
        ({"batch_size": 0}, "`batch_size` must be positive"),
        ({"seed": -1}, "must not be negative"),
    ],
)
def test_bad_trials_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        trial(**settings)


def test_settings_must_be_plain_data():
    with pytest.raises(UsageError, match=r"plain data.*Received"):
        Spec("mlp", activation=object())
    with pytest.raises(UsageError, match=r"finite.*Received: nan"):
        Spec("mlp", rate=float("nan"))
    with pytest.raises(AttributeError, match="immutable"):
        Spec("mlp").name = "other"
    with pytest.raises(UsageError, match='"own" or "seeded"'):
        Data(split="random")


# ---- plan ----------------------------------------------------------------------------------


def test_trials_that_share_a_graph_train_together():
    rate = [trial(seed=s, optimizer=Spec("sgd", learning_rate=0.1 * (s + 1))) for s in range(3)]
    noisy = [trial(optimizer=Spec("sgd", learning_rate=0.1), data=Data(corruptions=NOISE))]
    wide = [trial(model=Spec("mlp", hidden_units=(20,)), optimizer=Spec("sgd"))]
    momentum = [trial(optimizer=Spec("sgd", momentum=0.9))]
    groups = plan.groups([*rate, *wide, *noisy, *momentum])
    assert [len(g.trials) for g in groups] == [4, 1, 1]
    assert groups[0].trials == (*rate, *noisy)


def test_the_default_optimizer_trains_beside_itself_with_another_rate():
    decayed = trial(optimizer=Spec("adam", learning_rate=0.1, weight_decay=0.2))
    (group,) = plan.groups([trial(), decayed, trial(seed=1, optimizer=Spec("adam"))])
    assert len(group.trials) == 3


def test_trials_that_differ_in_what_their_objective_reads_train_together():
    weights = [trial(constants={"class_weights": (1.0, w)}) for w in (1.0, 4.0)]
    assert weights[0].id != weights[1].id != trial().id
    noisy = Data(validation=10, validation_corruptions=NOISE)
    held = [trial(data=Data(validation=10)), trial(data=noisy)]
    two = [trial(data=Data(classes=pair)) for pair in ((3, 8), (8, 3))]
    cropped = [trial(augmentation=Spec("crop_and_flip"))]
    groups = plan.groups([trial(), *weights, *held, *two, *cropped])
    assert [len(g.trials) for g in groups] == [1, 2, 2, 1, 1, 1]


def test_trials_come_after_those_whose_results_they_use():
    first = [trial(seed=s) for s in range(3)]
    second = [
        trial(seed=s, objective=Spec("forward_correction"), inputs={"t": Result(first[s], "t")})
        for s in range(3)
    ]
    groups = plan.groups([*second, first[0]])
    assert [g.trials for g in groups] == [tuple(first), tuple(second)]
    assert second[0].level == 1 and first[0].level == 0


def test_a_large_population_is_cut_the_same_way_each_time():
    many = [trial(seed=s) for s in range(600)]
    sizes = [len(g.trials) for g in plan.groups(many)]
    assert sizes == [256, 256, 88]
    assert plan.groups(many) == plan.groups(many + many)
