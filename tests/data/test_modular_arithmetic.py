"""Modular arithmetic: whole tables, right results, disjoint splits, three forms of one pair."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.modular_arithmetic import OPERATIONS, modular_arithmetic


def everything(**settings):
    """Returns (a, b, labels) of all pairs, training pairs first."""
    data = modular_arithmetic(form="pair", **settings)
    pairs = np.concatenate((data.train_inputs, data.test_inputs)).astype(int)
    return pairs[:, 0], pairs[:, 1], np.concatenate((data.train_labels, data.test_labels))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("modulus", [5, 23])
def test_every_pair_comes_once(operation, modulus):
    a, b, labels = everything(operation=operation, modulus=modulus, train_fraction=0.3)
    divides = "/" in operation or operation == "division"
    size = modulus * (modulus - divides)
    assert len(labels) == len(set(zip(a, b, strict=True))) == size
    assert a.min() == labels.min() == 0 and a.max() == b.max() == labels.max() == modulus - 1
    assert b.min() == divides


def test_sizes_of_the_published_tables():
    for operation, size in (("addition", 9409), ("division", 9312)):
        data = modular_arithmetic(operation=operation, form="pair")
        assert data.num_classes == 97
        assert len(data.train_labels) + len(data.test_labels) == size
        assert len(data.train_labels) == round(size / 2)


def test_results():
    p = 23
    a, b, c = everything(operation="division", modulus=p)
    np.testing.assert_array_equal(b * c % p, a)
    a, b, c = everything(operation="subtraction", modulus=p)
    np.testing.assert_array_equal((b + c) % p, a)
    a, b, c = everything(operation="x/y if y odd else x-y", modulus=p)
    np.testing.assert_array_equal(np.where(b % 2 == 1, b * c, b + c) % p, a)
    # Python's own evaluation of the formulas that are the names.
    formulas = [name for name in OPERATIONS if "^" in name]
    assert len(formulas) == 5
    for name in formulas:
        text = name.replace("^", "**").replace("xy", "x*y")
        a, b, c = everything(operation=name, modulus=p)
        expected = [eval(text, {"x": int(x), "y": int(y)}) % p for x, y in zip(a, b, strict=True)]
        np.testing.assert_array_equal(c, expected)
    for name, result in (("addition", 20 + 7), ("multiplication", 20 * 7)):
        a, b, c = everything(operation=name, modulus=p)
        assert c[(a == 20) & (b == 7)].tolist() == [result % p]


def test_the_forms_show_the_same_pairs():
    p = 11
    data = {
        form: modular_arithmetic(modulus=p, form=form, generator_seed=4)
        for form in ("pair", "one_hot_pair", "tokens")
    }
    for part in ("train_inputs", "test_inputs"):
        pairs = getattr(data["pair"], part)
        one_hot = getattr(data["one_hot_pair"], part)
        assert one_hot.shape[1] == 2 * p and (one_hot.sum(1) == 2).all()
        np.testing.assert_array_equal(one_hot[:, :p].argmax(1), pairs[:, 0])
        np.testing.assert_array_equal(one_hot[:, p:].argmax(1), pairs[:, 1])
        tokens = getattr(data["tokens"], part)
        np.testing.assert_array_equal(tokens[:, [1, 3]], pairs)
        assert {tuple(row) for row in tokens[:, [0, 2, 4]]} == {(p + 2, p, p + 1)}
    np.testing.assert_array_equal(data["pair"].train_labels, data["tokens"].train_labels)


def test_the_seed_draws_the_split_and_nothing_else():
    first, again, other = (
        modular_arithmetic(modulus=13, form="pair", generator_seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    kept = {tuple(pair) for pair in first.train_inputs} & {tuple(p) for p in other.train_inputs}
    # Half of a half, by chance.
    assert 20 < len(kept) < 65
    # A smaller fraction of one seed trains on some of the same pairs.
    fewer = modular_arithmetic(modulus=13, form="pair", train_fraction=0.2)
    assert {tuple(p) for p in fewer.train_inputs} < {tuple(p) for p in first.train_inputs}


@pytest.mark.parametrize(
    "options, text",
    [
        ({"operation": "power"}, "operation='power'"),
        ({"form": "images"}, "form='images'"),
        ({"modulus": 1}, "modulus=1"),
        ({"modulus": 91, "operation": "division"}, "prime modulus. Received: modulus=91"),
        ({"train_fraction": 1.0}, "train_fraction=1.0"),
        ({"train_fraction": 0.001, "modulus": 5}, "train_fraction=0.001"),
        ({"generator_seed": -1}, "generator_seed=-1"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(UsageError, match=text):
        modular_arithmetic(**options)
