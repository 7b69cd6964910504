"""Some classes only, examples held out, and what may be done to those."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec
from tfphen.data import Dataset, load, resolve


def seed(value):
    return lambda name: value


def test_some_classes_only():
    source, data = load("digits"), resolve(Data("digits", classes=(8, 3)), seed(0))
    chosen = np.isin(source.train_labels, (3, 8))
    np.testing.assert_array_equal(data.train_inputs, source.train_inputs[chosen])
    np.testing.assert_array_equal(data.train_labels, source.train_labels[chosen] == 3)
    assert data.num_classes == 2
    assert data.transition_matrix.shape == (2, 2)
    for part, size in (("train", len(source.train_labels)), ("test", len(source.test_labels))):
        _, labels = data.further[f"other_{part}"]
        assert set(labels.tolist()) == {0, 1, 2, 4, 5, 6, 7, 9}
        assert len(labels) + len(getattr(data, f"{part}_labels")) == size


def test_a_seeded_split_is_of_the_chosen_classes():
    one, other = (resolve(Data("digits", split="seeded", classes=(3, 8)), seed(s)) for s in (0, 1))
    assert set(one.train_labels.tolist()) == {0, 1}
    assert not np.array_equal(one.train_inputs, other.train_inputs)
    for name in ("other_train", "other_test"):
        np.testing.assert_array_equal(one.further[name][0], other.further[name][0])


@pytest.mark.parametrize("classes", [(3,), (3, 3)])
def test_classes_are_at_least_two_and_different(classes):
    with pytest.raises(UsageError, match="at least two different classes"):
        Data("digits", classes=classes)


def test_a_class_that_there_is_not():
    with pytest.raises(UsageError, match="of 0 to 9"):
        resolve(Data("digits", classes=(3, 10)), seed(0))


NOISE = Spec("label_noise", rate=0.5)


def test_held_out_examples_are_clean_and_apart():
    data = resolve(Data("digits", validation=100, corruptions=(NOISE,)), seed(0))
    inputs, labels = data.further["validation"]
    assert inputs.shape == (100, 64)
    source = load("digits")
    known = {tuple(x): y for x, y in zip(source.train_inputs, source.train_labels, strict=True)}
    assert [known[tuple(x)] for x in inputs] == labels.tolist()
    assert len(data.train_labels) == len(source.train_labels) - 100
    assert 0.4 < data.corrupted.mean() < 0.6


def test_held_out_examples_put_back_stay_clean():
    plain = Data("digits", validation=100, corruptions=(NOISE,))
    back = Data("digits", validation=100, corruptions=(NOISE,), validation_in_training=True)
    without, data = resolve(plain, seed(0)), resolve(back, seed(0))
    count = len(without.train_labels)
    np.testing.assert_array_equal(data.train_labels[:count], without.train_labels)
    np.testing.assert_array_equal(data.train_inputs[count:], data.further["validation"][0])
    np.testing.assert_array_equal(data.train_labels[count:], data.further["validation"][1])
    assert not data.corrupted[count:].any()


def test_held_out_examples_may_be_corrupted_too():
    settings = {"validation": 200, "validation_corruptions": (NOISE,)}
    clean = resolve(Data("digits", validation=200), seed(3)).further["validation"]
    noisy = resolve(Data("digits", **settings), seed(3)).further["validation"]
    np.testing.assert_array_equal(clean[0], noisy[0])
    assert 0.4 < (clean[1] != noisy[1]).mean() < 0.6
    streams = {"validation_label_noise": 9}
    other = resolve(Data("digits", **settings), lambda name: streams.get(name, 3))
    np.testing.assert_array_equal(other.further["validation"][0], noisy[0])
    assert not np.array_equal(other.further["validation"][1], noisy[1])


@pytest.mark.parametrize(
    "settings", [{"validation_corruptions": (NOISE,)}, {"validation_in_training": True}]
)
def test_nothing_held_out_is_nothing_to_change(settings):
    with pytest.raises(UsageError, match="need `validation`"):
        Data("digits", **settings)


def two_points(*, offset: float = 0.0, generator_seed: int = 0) -> Dataset:
    """Two points for training and for test."""
    inputs = np.asarray([[offset], [1.0 + generator_seed]], "float32")
    return Dataset(inputs, [0, 1], inputs, [0, 1], num_classes=2, name="two_points")


def test_a_source_that_comes_along():
    data = Data("two_points", options={"offset": 3, "generator_seed": 4})
    found = resolve(data, seed(0), sources={"two_points": two_points})
    assert found.train_inputs.ravel().tolist() == [3.0, 5.0]
    with pytest.raises(UsageError, match="offset"):
        resolve(Data("two_points", options={"of": 1}), seed(0), sources={"two_points": two_points})
