"""Critical samples of populations: each member is searched around its own examples, alone."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_each_member_is_searched_as_if_it_were_alone():
    import keras

    from tfphen.metrics import critical_sample_ratio
    from tfphen.phenomena.memorization.critical_samples import member_critical_sample_ratios

    generator = np.random.default_rng(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    weights = [generator.normal(size=(2, *value.shape)) for value in model.get_weights()]
    weights = [value.astype("float32") for value in weights]
    inputs = generator.normal(size=(2, 40, 2)).astype("float32")
    settings = {"noise": 0.0, "iterations": 3}
    found = member_critical_sample_ratios(model, weights, inputs, 0.2, **settings)
    alone = []
    for number in range(2):
        model.set_weights([value[number] for value in weights])
        alone.append(critical_sample_ratio(model, inputs[number], 0.2, **settings).ratio)
    np.testing.assert_array_equal(found, alone)
    assert min(alone) > 0 and alone[0] != alone[1] and max(alone) < 1
