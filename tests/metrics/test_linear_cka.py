"""CKA: the published demo's values, its invariances, and the minibatch form."""

import numpy as np
import pytest

from tfphen.metrics import MinibatchCKA, linear_cka


def demo():
    """The features of the demo notebook of the paper's authors."""
    generator = np.random.RandomState(1337)
    x = generator.randn(100, 10)
    return x, generator.randn(100, 10) + x


def hsic(k, m):
    """HSIC_1 of two Gram matrices, by its formula."""
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    n, ones = len(k), np.ones(len(k))
    total = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3))


def slow(x, y, unbiased):
    if unbiased:
        k, m = x @ x.T, y @ y.T
        return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm
    return norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def test_values_of_the_demo():
    x, y = demo()
    assert linear_cka(x, y) == pytest.approx(0.55761, abs=5e-6)
    assert linear_cka(x, y, unbiased=True) == pytest.approx(0.51346, abs=5e-6)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("widths", [(3, 7), (90, 120), (1, 40)])
def test_against_the_formulas(widths, unbiased):
    generator = np.random.default_rng(0)
    x = generator.normal(1.0, size=(30, widths[0]))
    y = np.tanh(generator.normal(size=(30, widths[1])) + x[:, :1])
    expected = slow(x, y, unbiased)
    assert linear_cka(x, y, unbiased) == pytest.approx(expected, abs=1e-12)
    assert linear_cka(y, x, unbiased) == pytest.approx(expected, abs=1e-12)
    single = linear_cka(x.astype("float32"), y.astype("float32"), unbiased)
    assert single == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_invariances(unbiased):
    x, y = demo()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    assert linear_cka(x, x @ rotation, unbiased) == pytest.approx(1.0, abs=1e-12)
    assert linear_cka(x, -3.0 * x + 7.0, unbiased) == pytest.approx(1.0, abs=1e-12)
    before = linear_cka(x, y, unbiased)
    changed = linear_cka(x @ rotation + 100.0, 1e-3 * y @ rotation.T - 5.0, unbiased)
    assert changed == pytest.approx(before, abs=1e-10)
    assert linear_cka(1e200 * x, 1e-200 * y, unbiased) == pytest.approx(before, abs=1e-12)
    # Not invariant to an invertible map that is no rotation.
    stretched = linear_cka(x, y @ np.diag([10.0] + [1.0] * 9), unbiased)
    assert abs(stretched - before) > 0.1


def test_the_plain_index_is_biased_and_the_other_is_not():
    generator = np.random.default_rng(0)
    found = np.array(
        [
            (linear_cka(x, y), linear_cka(x, y, unbiased=True))
            for x, y in generator.normal(size=(200, 2, 20, 50))
        ]
    )
    assert found[:, 0].mean() > 0.7
    assert abs(found[:, 1].mean()) < 4 * found[:, 1].std() / np.sqrt(200)


@pytest.mark.parametrize("unbiased", [False, True])
def test_features_that_do_not_vary_have_no_similarity(unbiased):
    x, _ = demo()
    for constant in (np.zeros((100, 3)), np.full((100, 3), 0.1)):
        assert np.isnan(linear_cka(x, constant, unbiased))
        assert np.isnan(linear_cka(constant, x, unbiased))
    # One example apart from the rest has a variance, but no pair to estimate it from.
    alone = np.eye(5)[:, :1]
    assert np.isnan(linear_cka(alone, x[:5], unbiased)) == unbiased


def test_minibatches_average_the_three_products():
    x, y = demo()
    similarity = MinibatchCKA()
    parts = []
    for rows in np.array_split(np.arange(100), 7):
        k, m = x[rows] @ x[rows].T, y[rows] @ y[rows].T
        parts.append((hsic(k, m), hsic(k, k), hsic(m, m)))
        similarity.update_state(x[rows], y[rows])
    cross, of_x, of_y = np.mean(parts, 0)
    assert similarity.result() == pytest.approx(cross / np.sqrt(of_x * of_y), abs=1e-12)
    assert similarity.num_batches == 7
    similarity.reset_state()
    assert similarity.num_batches == 0
    similarity.update_state(x, y)
    assert similarity.result() == pytest.approx(linear_cka(x, y, unbiased=True), abs=1e-12)
    constant = MinibatchCKA()
    constant.update_state(x, np.full((100, 2), 0.1))
    assert np.isnan(constant.result())


def test_minibatches_aim_at_the_value_of_all_examples():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4000, 6))
    y = np.tanh(x @ generator.normal(size=(6, 4)) + generator.normal(size=(4000, 4)))
    whole = linear_cka(x, y, unbiased=True)
    assert 0.1 < whole < 0.6
    similarity = MinibatchCKA()
    for part in range(0, 4000, 5):
        similarity.update_state(x[part : part + 5], y[part : part + 5])
    assert similarity.result() == pytest.approx(whole, abs=0.03)


def test_wrong_inputs():
    x, y = demo()
    spoiled = y.copy()
    spoiled[3, 1] = np.nan
    for arguments, settings, name in (
        ((x[0], y), {}, "x"),
        ((x, y.reshape(100, 5, 2)), {}, "y"),
        ((x, y[:-1]), {}, "x` and `y"),
        ((x[:1], y[:1]), {}, "x"),
        ((x[:3], y[:3]), {"unbiased": True}, "x"),
        ((x, spoiled), {}, "y"),
        ((x[:, :0], y), {}, "x"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            linear_cka(*arguments, **settings)
    similarity = MinibatchCKA()
    with pytest.raises(ValueError, match=r"`update_state` must.*Received"):
        similarity.result()
    with pytest.raises(ValueError, match=r"`x` must have shape .* n >= 4.*Received"):
        similarity.update_state(x[:3], y[:3])
    with pytest.raises(ValueError, match=r"`y` must be finite.*Received"):
        similarity.update_state(x, spoiled)
    assert similarity.num_batches == 0
