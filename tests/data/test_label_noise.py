"""Label noise follows its transition matrix, and nothing else."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.trial import Spec
from tfphen.data.corruptions import CORRUPTIONS, corrupt, transition_matrix
from tfphen.data.dataset import Examples

CLASSES = 10
SKEWED = np.roll(np.diag(np.linspace(0.0, 0.5, 10)), 3, axis=1) + np.diag(np.linspace(1, 0.5, 10))
NOISES = [
    Spec("label_noise", rate=0.3),
    Spec("label_noise", rate=0.3, kind="all"),
    Spec("label_noise", rate=0.3, kind="pair"),
    Spec("label_noise", kind="transition", transition_matrix=SKEWED.tolist()),
    Spec("mnist_flips", rate=0.3),
    Spec("cifar10_flips", rate=0.3),
    Spec("random_labels"),
]


def examples(n=20000):
    labels = np.random.default_rng(0).integers(0, CLASSES, n).astype(np.int32)
    inputs = np.arange(n, dtype=np.float32)[:, None]
    return Examples(inputs, labels, CLASSES)


@pytest.mark.parametrize("spec", NOISES, ids=str)
def test_the_observed_confusion_is_the_transition_matrix(spec):
    before = examples()
    after = corrupt(spec, before, stream(0, "label_noise"))
    expected = after.transition_matrix
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-12)
    counts = np.bincount(before.labels)[:, None]
    confusion = np.zeros((CLASSES, CLASSES))
    np.add.at(confusion, (before.labels, after.labels), 1)
    observed = confusion / counts
    deviation = np.sqrt(expected * (1 - expected) / counts)
    # 100 cells at 3 standard deviations: a few in ten thousand lie outside, none beyond 4.
    outside = np.abs(observed - expected) > 3 * deviation + 1e-12
    assert outside.sum() <= 2
    assert (np.abs(observed - expected) <= 4 * deviation + 1e-12).all()
    np.testing.assert_array_equal(after.clean_labels, before.labels)
    np.testing.assert_array_equal(after.inputs, before.inputs)
    assert after.labels.dtype == np.int32


@pytest.mark.parametrize("rate", [0.0, 0.15, 1.0])
def test_wrong_changes_rate_and_all_changes_less(rate):
    before = examples()
    n = len(before.labels)
    for kind, expected in (("wrong", rate), ("all", rate * (CLASSES - 1) / CLASSES)):
        spec = Spec("label_noise", rate=rate, kind=kind)
        after = corrupt(spec, before, stream(1, "label_noise"))
        changed = np.mean(after.labels != before.labels)
        assert abs(changed - expected) <= 4 * np.sqrt(expected * (1 - expected) / n)


def test_a_wrong_label_is_never_the_original():
    before = examples()
    for spec in (Spec("label_noise", rate=1.0), Spec("label_noise", rate=1.0, exact=True)):
        after = corrupt(spec, before, stream(2, "label_noise"))
        assert (after.labels != before.labels).all()
        assert set(after.labels) == set(range(CLASSES))


def test_the_maps():
    before = examples(2000)
    tables = {
        "mnist_flips": [0, 1, 7, 8, 4, 6, 5, 1, 8, 9],
        "cifar10_flips": [0, 1, 0, 5, 7, 3, 6, 7, 8, 1],
    }
    for name, table in tables.items():
        after = corrupt(Spec(name, rate=1.0), before, stream(0, name))
        np.testing.assert_array_equal(after.labels, np.array(table)[before.labels])
        np.testing.assert_array_equal(after.transition_matrix, np.eye(10)[table])
    after = corrupt(Spec("label_noise", rate=1.0, kind="pair"), before, stream(0, "label_noise"))
    np.testing.assert_array_equal(after.labels, (before.labels + 1) % 10)


def test_exact_counts():
    before = examples(3000)
    counts = np.bincount(before.labels)
    after = corrupt(Spec("label_noise", rate=0.37, exact=True), before, stream(3, "label_noise"))
    changed = np.bincount(before.labels[after.labels != before.labels], minlength=10)
    np.testing.assert_array_equal(changed, [round(0.37 * n) for n in counts])
    after = corrupt(Spec("mnist_flips", rate=0.5, exact=True), before, stream(3, "mnist_flips"))
    changed = np.bincount(before.labels[after.labels != before.labels], minlength=10)
    flips = (2, 3, 5, 6, 7)
    expected = [round(0.5 * n) if c in flips else 0 for c, n in enumerate(counts)]
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize("name", ["label_noise", "mnist_flips", "cifar10_flips"])
def test_rate_zero_is_the_identity(name):
    before = examples(500)
    after = corrupt(Spec(name, rate=0), before, stream(0, name))
    np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_array_equal(after.transition_matrix, np.eye(CLASSES))


def test_seeds():
    before = examples(500)
    spec = Spec("label_noise", rate=0.5)
    first, again = (corrupt(spec, before, stream(0, "label_noise")).labels for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = [corrupt(spec, before, stream(1, "label_noise")).labels]
    others.append(corrupt(spec, before, stream(0, "another")).labels)
    for other in others:
        # Independent draws agree where both keep the label, and by chance.
        agree = np.mean(first == other)
        assert abs(agree - (0.25 + 0.25 / 9)) < 4 * np.sqrt(0.2 / 500)


def test_more_noise_keeps_the_labels_that_less_noise_changed():
    before = examples(2000)
    little = corrupt(Spec("label_noise", rate=0.1), before, stream(0, "label_noise")).labels
    much = corrupt(Spec("label_noise", rate=0.4), before, stream(0, "label_noise")).labels
    changed = little != before.labels
    np.testing.assert_array_equal(little[changed], much[changed])


def test_two_noises_multiply_their_matrices():
    before = examples()
    generator = stream(0, "label_noise")
    middle = corrupt(Spec("label_noise", rate=0.2), before, generator)
    after = corrupt(Spec("label_noise", rate=0.3, kind="pair"), middle, generator)
    expected = transition_matrix("wrong", 0.2, 10) @ transition_matrix("pair", 0.3, 10)
    np.testing.assert_allclose(after.transition_matrix, expected)
    assert not np.allclose(expected, expected.T)
    np.testing.assert_array_equal(after.clean_labels, before.labels)


def test_transition_matrix_formulas():
    q, k = 0.3, 5
    identity, ones = np.eye(k), np.ones((k, k))
    np.testing.assert_allclose(
        transition_matrix("wrong", q, k), (1 - q) * identity + q / (k - 1) * (ones - identity)
    )
    np.testing.assert_allclose(transition_matrix("all", q, k), (1 - q) * identity + q / k * ones)
    pair = transition_matrix("pair", q, k)
    assert pair[0, 1] == pair[k - 1, 0] == q and pair[2, 2] == 1 - q
    flips = transition_matrix("mnist_flips", q, 10)
    assert flips[7, 1] == flips[2, 7] == flips[5, 6] == flips[6, 5] == flips[3, 8] == q
    assert flips[0, 0] == 1


@pytest.mark.parametrize(
    "spec, text",
    [
        (Spec("label_nose", rate=0.1), "Did you mean 'label_noise'"),
        (Spec("label_noise", rates=0.1), "Did you mean 'rate'"),
        (Spec("label_noise"), "rate=None"),
        (Spec("label_noise", rate=1.1), "rate=1.1"),
        (Spec("label_noise", rate=-0.1), "rate=-0.1"),
        (Spec("label_noise", rate="half"), "rate='half'"),
        (Spec("label_noise", rate=True), "rate=True"),
        (Spec("label_noise", rate=0.1, kind="pairs"), "Did you mean 'pair'"),
        (Spec("label_noise", rate=0.1, exact=1), "exact=1"),
        (Spec("label_noise", kind="transition"), "transition_matrix=None"),
        (Spec("label_noise", rate=0.1, transition_matrix=SKEWED.tolist()), 'kind="transition"'),
        (
            Spec("label_noise", rate=0.1, kind="transition", transition_matrix=SKEWED.tolist()),
            "own rates",
        ),
        (Spec("label_noise", kind="transition", transition_matrix=((1.0,),)), "10 rows"),
        (
            Spec("label_noise", kind="transition", transition_matrix=(SKEWED * 0.9).tolist()),
            "sums to 1",
        ),
        (
            Spec("label_noise", kind="transition", transition_matrix=(-np.eye(10)).tolist()),
            "negative",
        ),
        (Spec("mnist_flips"), "needs the setting 'rate'"),
        (Spec("random_labels", rate=0.5), "Allowed: none"),
    ],
    ids=str,
)
def test_wrong_settings(spec, text):
    with pytest.raises(UsageError, match=text):
        corrupt(spec, examples(100), stream(0, "label_noise"))


def test_wrong_arguments_of_transition_matrix():
    with pytest.raises(UsageError, match="ten classes"):
        transition_matrix("mnist_flips", 0.1, 5)
    with pytest.raises(UsageError, match="num_classes=1"):
        transition_matrix("wrong", 0.1, 1)
    with pytest.raises(UsageError, match="'transition'"):
        transition_matrix("transition", 0.1, 5)


def test_every_corruption_is_documented():
    assert all(function.__doc__ for function in CORRUPTIONS.values())
