"""Masks: exact counts, nesting, order by magnitude, and what the controls preserve."""

import itertools

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.phenomena.lottery_ticket import pruning


def lenet(generator, sizes=(64, 30, 10, 10)):
    """Weights of a perceptron by path, with biases."""
    weights = {}
    names = [f"hidden_{i}" for i in range(1, len(sizes) - 1)] + ["logits"]
    for name, rows, columns in zip(names, sizes, sizes[1:], strict=False):
        weights[f"{name}/kernel"] = generator.normal(size=(rows, columns)).astype("float32")
        weights[f"{name}/bias"] = generator.normal(size=columns).astype("float32")
    return weights


@pytest.fixture
def weights():
    return lenet(np.random.default_rng(0))


def counts(masks):
    return {path: int(mask.sum()) for path, mask in masks.items()}


def rounds(weights, number, rate=0.4, scope="layer"):
    """Masks after each round, of weights resampled each time."""
    masks, generator, found = pruning.all_ones(weights), np.random.default_rng(1), []
    for _ in range(number):
        trained = {path: generator.normal(size=value.shape) for path, value in weights.items()}
        if scope == "layer":
            new = pruning.prune_by_layer(trained, masks, pruning.layer_rates(trained, rate))
        else:
            new = pruning.prune_globally(trained, masks, rate)
        found.append((trained, masks, new))
        masks = new
    return found


def test_the_published_ladder_of_lenet_on_mnist():
    weights = {
        "hidden_1/kernel": np.empty((784, 300)),
        "hidden_2/kernel": np.empty((300, 100)),
        "logits/kernel": np.empty((100, 10)),
    }
    # Printed in the paper, or with it.
    shares = {3: 51.28, 7: 21.07, 9: 13.52, 13: 5.57, 15: 3.58, 16: 2.87, 18: 1.85, 20: 1.19}
    for number, (_, _, masks) in enumerate(rounds(weights, 20, rate=0.2), 1):
        exact = (265_200 * 0.8**number + 1000 * 0.9**number) / 266_200
        assert pruning.density(masks) == pytest.approx(exact, abs=2e-5)
        if number in shares:
            assert round(100 * pruning.density(masks), 2) == shares[number]


def test_counts_are_rounded_from_what_is_left(weights):
    expected = {"hidden_1/kernel": 1920, "hidden_2/kernel": 300, "logits/kernel": 100}
    for _, before, masks in rounds(weights, 5):
        assert counts(before) == expected
        for path, rate in pruning.layer_rates(weights, 0.4).items():
            expected[path] -= round(rate * expected[path])
        assert counts(masks) == expected
    assert expected["logits/kernel"] == 33  # 100, 80, 64, 51, 41, 33


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_masks_are_nested_and_remove_the_smallest_survivors(weights, scope):
    for trained, before, masks in rounds(weights, 4, scope=scope):
        assert list(masks) == pruning.prunable(weights)
        gone, kept = {}, {}
        for path, mask in masks.items():
            assert not (mask & ~before[path]).any()
            gone[path] = np.abs(trained[path])[before[path] & ~mask]
            kept[path] = np.abs(trained[path])[mask]
        if scope == "layer":
            for path, values in gone.items():
                assert len(values)
                assert values.max() <= kept[path].min()
        else:
            everything = np.concatenate(list(gone.values())), np.concatenate(list(kept.values()))
            assert everything[0].max() <= everything[1].min()


def test_global_pruning_takes_more_from_a_layer_of_small_weights(weights):
    weights["hidden_2/kernel"] *= 1e-6
    masks = pruning.prune_globally(weights, pruning.all_ones(weights), 0.1)
    assert counts(masks) == {"hidden_1/kernel": 1920, "hidden_2/kernel": 68, "logits/kernel": 100}
    assert pruning.density(masks) == pytest.approx(0.9)


def test_global_is_layerwise_for_one_layer(weights):
    one = {"hidden_1/kernel": weights["hidden_1/kernel"]}
    masks = pruning.all_ones(one)
    for _ in range(3):
        layerwise = pruning.prune_by_layer(one, masks, {"hidden_1/kernel": 0.3})
        masks = pruning.prune_globally(one, masks, 0.3)
        np.testing.assert_array_equal(masks["hidden_1/kernel"], layerwise["hidden_1/kernel"])


def test_equal_magnitudes_are_cut_to_the_exact_count():
    one = {"kernel": np.float32([[1.0, -1.0], [1.0, 2.0]])}
    masks = pruning.prune_by_layer(one, pruning.all_ones(one), {"kernel": 0.5})
    np.testing.assert_array_equal(masks["kernel"], [[False, False], [True, True]])


def test_rates_of_the_output_and_of_convolutions():
    weights = {
        "conv_1/kernel": np.empty((3, 3, 3, 8)),
        "conv_1/bias": np.empty(8),
        "hidden_1/kernel": np.empty((72, 16)),
        "logits/kernel": np.empty((16, 10)),
    }
    found = pruning.layer_rates(weights, 0.2, convolution_rate=0.15)
    assert found == {"conv_1/kernel": 0.15, "hidden_1/kernel": 0.2, "logits/kernel": 0.1}
    found = pruning.layer_rates(weights, 0.2, output_rate=0.0)
    assert found == {"conv_1/kernel": 0.2, "hidden_1/kernel": 0.2, "logits/kernel": 0.0}


def test_random_masks_keep_the_sizes_of_layers_and_are_nested(weights):
    found = [masks for _, _, masks in rounds(weights, 3)]
    drawn = [pruning.random_masks(masks, np.random.default_rng(5)) for masks in found]
    for mine, theirs in zip(drawn, found, strict=True):
        assert counts(mine) == counts(theirs)
        assert any((mine[path] != theirs[path]).any() for path in theirs)
    for larger, smaller in itertools.pairwise(drawn):
        assert not any((smaller[path] & ~larger[path]).any() for path in larger)
    other = pruning.random_masks(found[0], np.random.default_rng(6))
    assert (other["hidden_1/kernel"] != drawn[0]["hidden_1/kernel"]).any()


def test_what_the_controls_keep_and_what_they_change(weights):
    _, _, masks = rounds(weights, 2)[-1]
    for change, keeps_magnitudes_in_place, keeps_signs in (
        (pruning.permute_values, False, False),
        (pruning.permute_magnitudes, False, True),
        (pruning.redraw_signs, True, False),
    ):
        changed = change(weights, masks, np.random.default_rng(2))
        assert list(changed) == list(weights)
        for path, value in weights.items():
            assert changed[path].dtype == value.dtype
            if path not in masks:
                np.testing.assert_array_equal(changed[path], value)
                continue
            mask = masks[path]
            new, old = changed[path][mask], value[mask]
            np.testing.assert_array_equal(np.sort(np.abs(new)), np.sort(np.abs(old)))
            np.testing.assert_array_equal(changed[path][~mask], value[~mask])
            assert (np.abs(new) == np.abs(old)).all() == keeps_magnitudes_in_place
            assert (np.sign(new) == np.sign(old)).all() == keeps_signs
            if change is pruning.permute_values:
                np.testing.assert_array_equal(np.sort(new), np.sort(old))


def test_nothing_that_was_given_is_changed(weights):
    copies = {path: value.copy() for path, value in weights.items()}
    masks = pruning.all_ones(weights)
    pruning.prune_by_layer(weights, masks, pruning.layer_rates(weights, 0.5))
    pruning.prune_globally(weights, masks, 0.5)
    pruning.permute_values(weights, masks, np.random.default_rng(0))
    assert all(mask.all() for mask in masks.values())
    assert all((weights[path] == copies[path]).all() for path in weights)


def test_wrong_rates_shapes_and_weights(weights):
    masks = pruning.all_ones(weights)
    with pytest.raises(UsageError, match=r"`rate` must be a finite number in \[0, 1\)"):
        pruning.layer_rates(weights, 1.0)
    with pytest.raises(UsageError, match="`output_rate` must be"):
        pruning.layer_rates(weights, 0.2, output_rate=-0.1)
    with pytest.raises(UsageError, match="must have a path that ends in 'kernel'"):
        pruning.layer_rates({"hidden_1/bias": np.zeros(3)}, 0.2)
    with pytest.raises(UsageError, match=r"has shape \(64, 30\)"):
        pruning.prune_globally(weights, masks | {"hidden_1/kernel": np.ones((3, 3), bool)}, 0.2)
    weights["logits/kernel"][0, 0] = np.nan
    with pytest.raises(UsageError, match=r"weights\['logits/kernel'\]` must be finite"):
        pruning.prune_globally(weights, masks, 0.2)
