"""Bootstrap samples of a training set."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.trial import Spec
from tfphen.data.corruptions import corrupt
from tfphen.data.dataset import Examples


def examples(count=4000):
    labels = np.arange(count, dtype=np.int32) % 10
    return Examples(np.arange(count, dtype=np.float32)[:, None], labels, 10)


def sample(seed=0, before=None):
    before = examples() if before is None else before
    return corrupt(Spec("bootstrap"), before, stream(seed, "bootstrap"))


def test_a_bootstrap_sample_has_the_size_and_the_repeats_of_drawing_with_replacement():
    after = sample()
    counts = np.bincount(after.inputs[:, 0].astype(int), minlength=4000)
    assert counts.sum() == 4000
    # Multinomial counts: a share of 1/e is never drawn, the variance is 1 - 1/n.
    assert np.mean(counts == 0) == pytest.approx(np.exp(-1), abs=0.025)
    assert counts.var() == pytest.approx(1.0, abs=0.1)


def test_labels_stay_with_their_inputs():
    before = corrupt(Spec("label_noise", rate=0.5), examples(), stream(0, "label_noise"))
    after = sample(before=before)
    rows = after.inputs[:, 0].astype(int)
    np.testing.assert_array_equal(after.labels, before.labels[rows])
    np.testing.assert_array_equal(after.clean_labels, before.clean_labels[rows])


def test_a_seed_gives_one_sample_and_another_seed_another():
    np.testing.assert_array_equal(sample(3).inputs, sample(3).inputs)
    assert (sample(3).inputs != sample(4).inputs).any()


def test_there_are_no_settings():
    with pytest.raises(UsageError, match="has no setting 'size'"):
        corrupt(Spec("bootstrap", size=5), examples(), stream(0, "bootstrap"))
