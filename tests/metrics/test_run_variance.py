"""The identities of the variance between runs."""

import numpy as np
import pytest

from tfphen.metrics import binary_variance_formula, churn, disagreement, run_variance


def errors(runs=40, count=60, seed=0):
    generator = np.random.default_rng(seed)
    quality = generator.normal(size=(runs, 1))
    difficulty = generator.normal(size=count)
    return (generator.normal(size=(runs, count)) + quality + difficulty > 1).astype("int64")


def test_definitions():
    table = errors()
    found = run_variance(table)
    runs, count = table.shape
    assert (found.num_runs, found.num_examples) == (runs, count)
    assert found.mean_error == pytest.approx(table.mean())
    assert found.test_variance == pytest.approx(table.mean(1).var(ddof=1), rel=1e-12)
    each = table.var(0, ddof=1).sum() / count**2
    assert found.independent_variance == pytest.approx(each, rel=1e-12)
    rate = table.mean(0)
    plug_in = (rate * (1 - rate)).sum() / count**2 * runs / (runs - 1)
    assert found.independent_variance == pytest.approx(plug_in, rel=1e-12)
    assert found.ratio == pytest.approx(found.test_variance / each)
    halves = table[:, ::2].mean(1), table[:, 1::2].mean(1)
    assert found.half_correlation == pytest.approx(np.corrcoef(*halves)[0, 1])
    assert found == run_variance(table.astype(bool))


def test_distribution_variance_is_the_mean_covariance_of_two_points():
    table = errors()
    covariance = np.cov(table.T, ddof=1)
    count = table.shape[1]
    mean = (covariance.sum() - np.trace(covariance)) / (count * (count - 1))
    assert abs(run_variance(table).distribution_variance - mean) < 1e-12


def test_identical_runs_and_identical_points():
    row = errors()[0]
    same = run_variance(np.stack([row] * 9))
    assert same[1:4] == (0.0, 0.0, 0.0)
    assert np.isnan(same.ratio) and np.isnan(same.half_correlation)
    column = errors()[:, :1]
    for count in (2, 17):
        copied = run_variance(np.tile(column, (1, count)))
        expected = column.var(ddof=1)
        assert copied.test_variance == pytest.approx(expected, rel=1e-12)
        assert copied.distribution_variance == pytest.approx(expected, rel=1e-12)
        assert copied.half_correlation == pytest.approx(1.0)


def test_duplicated_runs_change_only_the_denominators():
    table = errors()
    runs = len(table)
    once, twice = run_variance(table), run_variance(np.concatenate([table, table]))
    factor = 2 * (runs - 1) / (2 * runs - 1)
    assert twice.mean_error == once.mean_error
    for name in ("test_variance", "independent_variance", "distribution_variance"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name) * factor, rel=1e-12)
    assert twice.ratio == pytest.approx(once.ratio)


def test_permuted_columns_are_independent():
    generator = np.random.default_rng(1)
    table = errors(200, 400)
    mixed = run_variance(generator.permuted(table, axis=0))
    bound = 2 * np.sqrt(2 / 199)
    assert abs(mixed.ratio - 1) < bound and abs(mixed.half_correlation) < 3 / np.sqrt(200)
    before = run_variance(table)
    assert before.ratio > 5 and before.half_correlation > 0.8
    assert before.mean_error == mixed.mean_error
    assert before.independent_variance == pytest.approx(mixed.independent_variance)


def test_the_variance_estimate_has_no_bias():
    generator = np.random.default_rng(2)
    # The error on the distribution of run r is quality[r]: its variance is 0.01.
    found = []
    for _ in range(400):
        quality = 0.5 + 0.1 * generator.choice([-1, 1], size=(10, 1))
        found.append(run_variance(generator.random((10, 20)) < quality).distribution_variance)
    assert np.mean(found) == pytest.approx(0.01, abs=4 * np.std(found) / 20)


def test_calibrated_binary_runs_follow_the_formula():
    generator = np.random.default_rng(0)
    count = 200_000
    q = generator.beta(0.5, 0.5, count)
    y = generator.random(count) < q
    error = np.where(y, 1 - q, q).mean()
    assert (q * (1 - q)).mean() == pytest.approx(error / 2, abs=2e-3)
    small = 500
    wrong = (generator.random((2000, small)) < q[:small]) != y[:small]
    found = run_variance(wrong)
    expected = (q[:small] * (1 - q[:small])).sum() / small**2
    assert found.test_variance == pytest.approx(expected, rel=0.15)
    predicted = binary_variance_formula((2 * q * (1 - q))[:small].mean(), small)
    assert predicted == pytest.approx(expected, rel=1e-9)


def test_binary_spread_is_half_the_disagreement():
    generator = np.random.default_rng(0)
    predictions = generator.random((11, 70)) < generator.random(70)
    q = predictions.mean(0)
    both = churn(predictions, with_replacement=True)
    assert (q * (1 - q)).mean() == pytest.approx(both / 2, rel=1e-12)


def test_bound_for_more_classes():
    generator = np.random.default_rng(0)
    for classes in (2, 3, 10):
        q = generator.dirichlet(np.full(classes, 0.3), 500)
        left = (q**2 * (1 - q)).sum(-1).mean()
        assert left >= (q * (1 - q)).sum(-1).mean() / classes - 1e-15


def test_churn_is_the_mean_over_pairs():
    predictions = np.random.default_rng(0).integers(0, 4, (6, 30)).astype("uint8")
    pairs = [(predictions[i] != predictions[j]).mean() for i in range(6) for j in range(i)]
    assert churn(predictions) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert churn(predictions, with_replacement=True) == pytest.approx(np.mean(pairs) * 5 / 6)
    assert churn(np.stack([predictions[0]] * 3)) == 0.0


def test_disagreement_is_the_churn_of_a_pair():
    first, second = np.random.default_rng(0).integers(0, 3, (2, 50)).astype("uint8")
    expected = sum(a != b for a, b in zip(first, second, strict=True)) / 50
    assert 0.5 < expected < 0.8
    assert disagreement(first, second) == expected == pytest.approx(churn([first, second]))
    assert disagreement(first.astype("float32"), first.tolist()) == 0.0
    for wrong in (
        (first, second[:-1]),
        (first[None], second[None]),
        ([], []),
        ([0.5], [1.0]),
        ([np.nan], [0]),
    ):
        with pytest.raises(ValueError, match=r"first.*Received"):
            disagreement(*wrong)
    with pytest.raises(ValueError, match="`second` must hold integers"):
        disagreement([1], [0.2])


def test_errors():
    for call in (
        lambda: run_variance(np.zeros(5)),
        lambda: run_variance(np.zeros((1, 5))),
        lambda: run_variance(np.full((3, 5), 0.5)),
        lambda: run_variance(np.full((3, 5), np.nan)),
        lambda: churn(np.zeros((1, 5))),
        lambda: churn(np.full((3, 5), 0.5)),
        lambda: churn(np.full((3, 5), np.nan)),
        lambda: binary_variance_formula(1.5, 10),
        lambda: binary_variance_formula(0.5, 0),
    ):
        with pytest.raises(ValueError, match="Received"):
            call()
