"""Class counts and the weights made of them, against the lists of the papers."""

import re
from decimal import Decimal

import numpy as np
import pytest

from tfphen.data import long_tail_counts
from tfphen.data.subsets import step_counts
from tfphen.losses.class_counts import (
    checked_class_weights,
    class_priors,
    effective_number_weights,
    inverse_frequency_weights,
    listed_class_counts,
    values_of_classes,
)

# CIFAR-10 with ratio 100, as the LDAM paper's code makes it.
COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
WEIGHTS = [0.0506, 0.0769, 0.1211, 0.1950, 0.3188, 0.5246, 0.8683, 1.4426, 2.4092, 3.9927]


def test_counts_of_the_paper():
    assert long_tail_counts(5000, 100, 10).tolist() == COUNTS
    ratios = (10, 20, 50, 100, 200)
    totals = [long_tail_counts(5000, ratio, 10).sum() for ratio in ratios]
    assert totals == [20431, 17023, 13996, 12406, 11203]
    totals = [long_tail_counts(500, ratio, 100).sum() for ratio in ratios]
    assert totals == [19573, 15907, 12608, 10847, 9502]
    for count, classes in ((5000, 10), (500, 100)):
        assert [step_counts(count, ratio, classes).sum() for ratio in (10, 100)] == [27500, 25250]


def test_effective_number_weights_of_the_paper():
    weights = effective_number_weights(COUNTS)
    np.testing.assert_array_equal(weights.round(4), WEIGHTS)
    assert weights.sum() == pytest.approx(10, abs=1e-12)
    inverse = inverse_frequency_weights(COUNTS)
    np.testing.assert_array_equal(inverse[[0, -1]].round(4), [0.0402, 4.0236])
    np.testing.assert_allclose(inverse * COUNTS, inverse[0] * COUNTS[0])


@pytest.mark.parametrize("beta", [0.9, 0.9999, 1 - 1e-12])
def test_effective_numbers_do_not_cancel(beta):
    counts = [3, 1000, 10**6]
    exact = [(1 - Decimal(beta)) / (1 - Decimal(beta) ** count) for count in counts]
    exact = np.array([float(3 * value / sum(exact)) for value in exact])
    np.testing.assert_allclose(effective_number_weights(counts, beta), exact, rtol=1e-9)


def test_ends_of_beta():
    np.testing.assert_array_equal(effective_number_weights(COUNTS, 0.0), np.ones(10))
    inverse = inverse_frequency_weights(COUNTS)
    np.testing.assert_array_equal(effective_number_weights(COUNTS, 1.0), inverse)
    np.testing.assert_allclose(effective_number_weights(COUNTS, 1 - 1e-9), inverse, rtol=1e-5)


@pytest.mark.parametrize("beta", [0.5, 0.9999, 1.0])
def test_weights_of_mean_one_over_the_training_set(beta):
    weights = effective_number_weights(COUNTS, beta, "examples")
    assert np.dot(weights, COUNTS) == pytest.approx(sum(COUNTS), rel=1e-12)
    ratio = weights / effective_number_weights(COUNTS, beta)
    np.testing.assert_allclose(ratio, ratio[0])
    for normalization in ("classes", "examples"):
        for count in (1, 7, 4999):
            equal = effective_number_weights([count] * 3, beta, normalization)
            np.testing.assert_array_equal(equal, np.ones(3))


def test_a_stack_of_counts_is_each_of_them():
    stack = np.array([COUNTS, COUNTS[::-1]])[:, None]
    for function in (class_priors, effective_number_weights, inverse_frequency_weights):
        found = function(stack)
        assert found.shape == (2, 1, 10) and found.dtype == np.float64
        np.testing.assert_array_equal(found[1, 0], function(COUNTS[::-1]))


def test_priors():
    np.testing.assert_allclose(class_priors(COUNTS), np.array(COUNTS) / 12406, rtol=1e-15)


@pytest.mark.parametrize(
    "counts", [[50, 0, 5], [50, -3], [0.7, 0.3], [5, np.nan], [5, np.inf], [5], 5, "50", [2.5, 3]]
)
def test_wrong_counts(counts):
    functions = (
        class_priors,
        effective_number_weights,
        inverse_frequency_weights,
        listed_class_counts,
    )
    for function in functions:
        with pytest.raises(ValueError, match=r"`class_counts`.*Received: "):
            function(counts)


def test_other_wrong_settings():
    with pytest.raises(ValueError, match=re.escape("must have shape (K,)")):
        listed_class_counts([[5, 3]])
    for beta in (-0.1, 1.1, np.nan, "0.9"):
        with pytest.raises(ValueError, match=r"`beta`.*Received: beta="):
            effective_number_weights([5, 3], beta)
    with pytest.raises(ValueError, match=r"`normalization`.*Received: normalization='sum'"):
        effective_number_weights([5, 3], normalization="sum")
    for weights in ([1.0, -1.0], [0.0, 0.0], [1.0, np.inf], [1.0], "ab"):
        with pytest.raises(ValueError, match=r"`class_weights`.*Received: "):
            checked_class_weights(weights)


def test_values_must_fit_the_logits(tensorflow):
    logits = np.zeros((4, 3), "float32")
    for counts in ([5, 3], np.ones((2, 4, 3))):
        with pytest.raises(ValueError, match=r"`n` needs one entry for each of the 3 classes"):
            values_of_classes("n", counts, logits, np.asarray)
    known = tensorflow.constant([5.0, 3.0, 1.0])
    values, numeric = values_of_classes("n", known, logits, np.asarray)
    assert numeric is np and isinstance(values, np.ndarray)
