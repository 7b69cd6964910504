"""Subsets, class imbalance and corrupted inputs."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.trial import Spec
from tfphen.data.corruptions import (
    corrupt,
    long_tail_counts,
    step_counts,
    stratified_order,
)
from tfphen.data.dataset import Examples

CLASSES = 10


def examples(per_class=500, shape=(4,), num_classes=CLASSES):
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(num_classes, dtype=np.int32), per_class)
    # Entries are all different, so a multiset of entries identifies an image.
    inputs = generator.permutation(len(labels) * int(np.prod(shape))).astype(np.float32)
    return Examples(inputs.reshape(len(labels), *shape), labels, num_classes)


def counts(result):
    return np.bincount(result.labels, minlength=result.num_classes).tolist()


def test_long_tail_counts():
    golden = [400, 239, 143, 86, 51, 30, 18, 11, 6, 4]
    assert long_tail_counts(400, 100, 10).tolist() == golden
    golden = [140, 108, 83, 64, 50, 38, 30, 23, 18, 14]
    assert long_tail_counts(140, 10, 10).tolist() == golden
    golden = [400, 258, 167, 108, 70, 45, 29, 19, 12, 8]
    assert long_tail_counts(400, 50, 10).tolist() == golden
    assert long_tail_counts(400, 1, 10).tolist() == [400] * 10
    # Whole on paper: 1000 * 10 ** (-1 / 3 * 3) must not become 99.
    assert long_tail_counts(1000, 10, 4)[-1] == 100


def test_step_counts():
    assert step_counts(200, 25, 10).tolist() == [200] * 5 + [8] * 5
    assert step_counts(10, 2, 3).tolist() == [10, 10, 5]


def test_long_tail_and_step_imbalance():
    result = corrupt(
        Spec("long_tail", ratio=100, max_count=400), examples(), stream(0, "long_tail")
    )
    assert counts(result) == [400, 239, 143, 86, 51, 30, 18, 11, 6, 4]
    assert (np.diff(result.labels) < 0).any()
    assert len(np.unique(result.inputs)) == result.inputs.size
    result = corrupt(Spec("long_tail", ratio=10), examples(140), stream(0, "long_tail"))
    assert counts(result)[0] == 140 and counts(result)[-1] == 14
    spec = Spec("step_imbalance", ratio=25, max_count=200)
    result = corrupt(spec, examples(), stream(0, "step_imbalance"))
    assert counts(result) == [200] * 5 + [8] * 5


def kept_rows(fractions, seed=0, before=None):
    before = examples(num_classes=3, per_class=100) if before is None else before
    spec = Spec("class_fractions", fractions=fractions)
    after = corrupt(spec, before, stream(seed, "class_fractions"))
    where = {value: row for row, value in enumerate(before.inputs[:, 0])}
    rows = [where[value] for value in after.inputs[:, 0]]
    np.testing.assert_array_equal(after.labels, before.labels[rows])
    return after, rows


def test_class_fractions_keep_a_share_of_each_class_in_order():
    # 0.29 * 100 is 28.999... in floating point, and 29 on paper.
    after, rows = kept_rows((0.29, 1.0, 0.001))
    assert counts(after) == [29, 100, 1]
    assert rows == sorted(rows) and rows[29:129] == list(range(100, 200))
    _, smaller = kept_rows((0.1, 0.55, 0.001))
    assert set(smaller) < set(rows) and len(smaller) == 10 + 55 + 1
    _, other = kept_rows((0.29, 1.0, 0.001), seed=1)
    assert set(rows[:29]) != set(other[:29])
    # Which are kept of one class does not depend on the shares of the others.
    _, alone = kept_rows((0.29, 0.2, 1.0))
    assert alone[:29] == rows[:29]


def test_class_fractions_of_a_class_that_is_not_there():
    before = examples(10, num_classes=2)
    before = Examples(before.inputs, before.labels, 3)
    assert counts(kept_rows((0.25, 1.0, 0.5), before=before)[0]) == [2, 10, 0]


def test_permuted_classes_have_the_same_counts_in_another_order():
    spec = Spec("long_tail", ratio=100, max_count=400, permute_classes=True)
    results = [counts(corrupt(spec, examples(), stream(seed, "long_tail"))) for seed in range(3)]
    expected = sorted(long_tail_counts(400, 100, 10))
    assert all(sorted(result) == expected for result in results)
    assert len({tuple(result) for result in results}) == 3


def test_stratified_order_keeps_class_frequencies_in_every_prefix():
    labels = np.random.default_rng(1).choice(4, p=(0.5, 0.3, 0.15, 0.05), size=1000)
    order = stratified_order(labels, stream(0, "subset"))
    assert sorted(order) == list(range(1000))
    share = np.bincount(labels) / 1000
    for size in (1, 7, 100, 333, 999):
        taken = np.bincount(labels[order[:size]], minlength=4)
        assert (np.abs(taken - share * size) <= 1).all()


def test_subset():
    before = examples(50)
    small = corrupt(Spec("subset", size=20), before, stream(0, "subset"))
    assert counts(small) == [2] * 10
    large = corrupt(Spec("subset", fraction=0.5), before, stream(0, "subset"))
    assert counts(large) == [25] * 10
    assert set(small.inputs[:, 0]) < set(large.inputs[:, 0]), "a smaller subset is part of a larger"
    other = corrupt(Spec("subset", size=20), before, stream(1, "subset"))
    assert set(small.inputs[:, 0]) != set(other.inputs[:, 0])


def test_clean_labels_follow_the_examples():
    before = examples(50)
    by_input = dict(zip(before.inputs[:, 0], before.labels, strict=True))
    noisy = corrupt(Spec("label_noise", rate=0.5), before, stream(0, "label_noise"))
    for spec in (
        Spec("subset", size=100),
        Spec("long_tail", ratio=5, max_count=10),
        Spec("class_fractions", fractions=(0.2,) * 10),
    ):
        after = corrupt(spec, noisy, stream(0, spec.name))
        expected = [by_input[value] for value in after.inputs[:, 0]]
        np.testing.assert_array_equal(after.clean_labels, expected)
        assert 0.3 < np.mean(after.labels != after.clean_labels) < 0.7


@pytest.mark.parametrize("shape", [(6,), (3, 4, 2), (5, 2)])
def test_shuffled_pixels_is_one_permutation_for_all(shape):
    before = examples(20, shape)
    after = corrupt(Spec("shuffled_pixels"), before, stream(0, "shuffled_pixels"))
    channels = shape[-1] if len(shape) > 1 else 1
    old = before.inputs.reshape(200, -1, channels)
    new = after.inputs.reshape(200, -1, channels)
    order = [np.flatnonzero(old[0, :, 0] == value)[0] for value in new[0, :, 0]]
    np.testing.assert_array_equal(new, old[:, order])
    assert order != sorted(order)
    np.testing.assert_array_equal(after.labels, before.labels)


def test_shuffled_pixels_reaches_the_test_inputs_only_when_asked():
    base = examples(5)
    before = Examples(base.inputs, base.labels, CLASSES, test_inputs=base.inputs)
    after = corrupt(Spec("shuffled_pixels"), before, stream(0, "shuffled_pixels"))
    np.testing.assert_array_equal(after.test_inputs, base.inputs)
    after = corrupt(Spec("shuffled_pixels", test=True), before, stream(0, "shuffled_pixels"))
    np.testing.assert_array_equal(after.test_inputs, after.inputs)


@pytest.mark.parametrize("shape", [(6,), (3, 4, 2)])
def test_random_pixels_permutes_every_image_by_itself(shape):
    before = examples(500, shape)  # more than one block
    after = corrupt(Spec("random_pixels"), before, stream(0, "random_pixels"))
    channels = shape[-1] if len(shape) > 1 else 1
    old = before.inputs.reshape(5000, -1, channels)
    new = after.inputs.reshape(5000, -1, channels)
    orders = set()
    for i in range(0, 5000, 50):
        order = [np.flatnonzero(old[i, :, 0] == value)[0] for value in new[i, :, 0]]
        np.testing.assert_array_equal(new[i], old[i, order])
        orders.add(tuple(order))
    assert len(orders) > 50


def test_gaussian_inputs_have_the_moments_of_the_training_inputs():
    generator = np.random.default_rng(0)
    inputs = generator.normal((1, -2), (0.5, 3), size=(2000, 5, 5, 2)).astype(np.float32)
    before = Examples(inputs, np.zeros(2000, np.int32), 2)
    after = corrupt(Spec("gaussian_inputs"), before, stream(0, "gaussian_inputs")).inputs
    np.testing.assert_allclose(after.mean((0, 1, 2)), (1, -2), atol=0.06)
    np.testing.assert_allclose(after.std((0, 1, 2)), (0.5, 3), rtol=0.02)
    assert after.dtype == np.float32 and abs(np.corrcoef(after.ravel(), inputs.ravel())[0, 1]) < 0.9
    spec = Spec("gaussian_inputs", moments="all")
    after = corrupt(spec, before, stream(0, "gaussian_inputs")).inputs
    np.testing.assert_allclose(after.mean((0, 1, 2)), inputs.mean(), atol=0.06)
    flat = Examples(inputs[:, 0, 0], before.labels, 2)
    spec = Spec("gaussian_inputs", moments="feature")
    after = corrupt(spec, flat, stream(0, "gaussian_inputs")).inputs
    np.testing.assert_allclose(after.mean(0), (1, -2), atol=0.25)


@pytest.mark.parametrize(
    "spec, text",
    [
        (Spec("subset"), "size=None"),
        (Spec("subset", size=10, fraction=0.5), "fraction=0.5"),
        (Spec("subset", size=0), "size=0"),
        (Spec("subset", size=101), "from 1 to 100"),
        (Spec("subset", fraction=1.5), "fraction=1.5"),
        (Spec("long_tail", ratio=0.5), "ratio=0.5"),
        (Spec("long_tail", max_count=5), "needs the setting 'ratio'"),
        (Spec("long_tail", ratio=2, max_count=11), "Class 0 has 10"),
        (Spec("long_tail", ratio=100), "Every class needs an example"),
        (Spec("step_imbalance", ratio=2, max_count=2.5), "max_count=2.5"),
        (Spec("step_imbalance", ratio=2, permute_classes="yes"), "permute_classes='yes'"),
        (Spec("class_fractions", fractions=(0.5,)), r"each of the 10 classes.*\(0.5,\)"),
        (Spec("class_fractions", fractions=0.5), "fractions=0.5"),
        (Spec("class_fractions", fractions=(0.0,) + (1.0,) * 9), "must be above 0"),
        (Spec("class_fractions", fractions=(1.5,) * 10), r"in \[0, 1\]. Received: fractions=1.5"),
        (Spec("shuffled_pixels", test=True), "no test inputs"),
        (Spec("gaussian_inputs", moments="channels"), "Did you mean 'channel'"),
    ],
    ids=str,
)
def test_wrong_settings(spec, text):
    with pytest.raises(UsageError, match=text):
        corrupt(spec, examples(10), stream(0, spec.name))
