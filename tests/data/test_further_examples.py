"""Further examples to measure on: other sources, corrupted forms, folders handed to sources."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.trial import Data, Spec, Trial
from tfphen.data import resolve
from tfphen.data.dataset import Dataset
from tfphen.data.digits import digits
from tfphen.data.image_corruptions import corrupt_images
from tfphen.data.sources import load


def resolved(**settings):
    return resolve(Data("digits", **settings), lambda name: 3)


def test_the_test_split_of_another_source_is_a_split():
    data = resolved(further={"signals": Spec("mnist1d")})
    inputs, labels = data.further["signals"]
    other = load("mnist1d")
    np.testing.assert_array_equal(inputs, other.test_inputs)
    np.testing.assert_array_equal(labels, other.test_labels)


def test_so_many_examples_are_kept_the_same_ones_of_each_form():
    plain = Spec("digits", examples=30)
    noisy = Spec("digits", examples=30, corruption="brightness", severity=1)
    data = resolved(further={"plain": plain, "noisy": noisy}, test=30)
    np.testing.assert_array_equal(data.further["plain"][0], data.test_inputs)
    np.testing.assert_array_equal(data.further["plain"][1], data.further["noisy"][1])
    lighter = data.further["noisy"][0] - data.further["plain"][0]
    assert lighter.min() >= 0 and 0.05 < lighter.mean() < 0.2


def test_of_the_own_source_only_the_classes_of_the_trial_are_taken():
    data = resolved(classes=(7, 2), further={"again": Spec("digits")})
    np.testing.assert_array_equal(data.further["again"][0], data.test_inputs)
    np.testing.assert_array_equal(data.further["again"][1], data.test_labels)
    assert set(data.further["again"][1]) == {0, 1}


def test_a_seeded_split_and_the_test_split_of_its_source_exclude_each_other():
    with pytest.raises(UsageError, match='set split="own"'):
        resolved(split="seeded", further={"again": Spec("digits")})


@pytest.mark.parametrize("further", [{"train": Spec("digits")}, {"ok": "digits"}])
def test_names_that_are_taken_and_what_is_no_spec_are_refused(further):
    with pytest.raises(UsageError, match="`further` holds a `Spec`"):
        Data("digits", further=further)


def test_further_examples_are_part_of_the_identity():
    def trial(**settings):
        return Trial(Spec("mlp"), Data("digits", **settings), epochs=1)

    assert trial(further={}).id == trial().id
    assert trial(further={"a": Spec("digits")}).id != trial().id


@pytest.mark.parametrize("flatten", [True, False])
def test_digits_with_corrupted_test_images(flatten):
    plain = digits(flatten=False)
    found = digits(flatten=flatten, corruption="gaussian_noise", severity=3)
    expected = corrupt_images(plain.test_inputs, "gaussian_noise", 3, stream(0, "image_corruption"))
    np.testing.assert_allclose(found.test_inputs.reshape(expected.shape), expected, atol=1e-7)
    np.testing.assert_array_equal(
        found.train_inputs.reshape(plain.train_inputs.shape), plain.train_inputs
    )


def test_a_wrong_corruption_is_refused_by_name():
    with pytest.raises(UsageError, match="gaussian_nose"):
        load("digits", {"corruption": "gaussian_nose"})


def test_a_source_gets_the_folder_which_is_no_setting(tmp_path):
    seen = []

    def source(*, size: int = 4, data_dir=None):
        seen.append(data_dir)
        inputs, labels = np.zeros((size, 2)), np.zeros(size, int)
        return Dataset(inputs, labels, inputs, labels, num_classes=2, name="made up")

    load("made_up", {"size": 5}, tmp_path, {"made_up": source})
    load("made_up", {"size": 5}, None, {"made_up": source})
    assert seen == [str(tmp_path), None]
    with pytest.raises(UsageError, match=r"no setting 'data_dir'.*Allowed: size"):
        load("made_up", {"data_dir": "x"}, tmp_path, {"made_up": source})
