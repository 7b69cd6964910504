"""Models that end in a dense layer, or in cosines."""

import keras
import numpy as np
import pytest

from tfphen import models
from tfphen.core.errors import UsageError

CASES = {
    "mlp": ((6,), {"hidden_units": (5,)}),
    "lstm": ((6,), {"width": 4, "embedding_width": 3, "vocabulary_size": 20}),
    "resnet_cifar": ((8, 8, 3), {"depth": 8, "width": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_head_of_cosines(name):
    shape, settings = CASES[name]
    build = models.get(name)
    assert build(shape, 2, **settings).get_layer("logits").use_bias
    model = build(shape, 2, head="cosine", **settings)
    inputs = np.random.default_rng(0).integers(0, 20, (5, *shape))
    features = keras.Model(model.input, model.get_layer("features").output)
    hidden = keras.ops.convert_to_numpy(features(inputs))
    (kernel,) = model.get_layer("logits").get_weights()
    lengths = np.linalg.norm(hidden, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)
    found = keras.ops.convert_to_numpy(model(inputs))
    np.testing.assert_allclose(found, hidden @ kernel / lengths, rtol=1e-4, atol=1e-6)
    again = build(shape, 2, head="cosine", **settings).get_layer("logits").get_weights()[0]
    np.testing.assert_array_equal(kernel, again)


def test_another_head():
    with pytest.raises(UsageError, match=r"`head`.*Received: head='round'"):
        models.mlp((6,), 2, head="round")
