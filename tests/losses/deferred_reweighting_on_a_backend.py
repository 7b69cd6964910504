"""Run by a test in a process of its own: the weights reach compiled steps of another backend."""

import keras
import numpy as np

from tfphen.losses.class_weighted import ClassWeightedCrossentropy
from tfphen.losses.deferred_reweighting import DeferredReweighting

COUNTS = [24, 6, 2]
KERNEL = np.random.default_rng(2).normal(size=(4, 3))
INPUTS = np.random.default_rng(0).normal(scale=3.0, size=(32, 4)).astype("float32")
LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], COUNTS))


def losses_of(model, callbacks, epochs=4):
    history = model.fit(
        INPUTS, LABELS, batch_size=32, epochs=epochs, verbose=0, callbacks=callbacks, shuffle=False
    )
    return history.history["loss"]


def main():
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.layers[0].set_weights([KERNEL, np.zeros(3)])
        # The model stays as it is, so that only the weights can change the loss.
        loss = ClassWeightedCrossentropy(reduction=reduction)
        model.compile(keras.optimizers.SGD(0.0), loss)
        logits = keras.ops.convert_to_numpy(model(INPUTS))
        reweighting = DeferredReweighting(COUNTS, 2)
        weights = np.array(reweighting.class_weights)[LABELS]
        each = np.log(np.exp(logits).sum(-1)) - logits[np.arange(32), LABELS]
        plain, weighted = each.mean(), (weights * each).sum()
        weighted /= 32 if reduction == "sum_over_batch_size" else weights.sum()
        assert abs(plain - weighted) > 0.05
        # The second training begins plainly again: no step is taken from an old trace.
        for _ in range(2):
            found = losses_of(model, [reweighting])
            np.testing.assert_allclose(found, [plain, plain, weighted, weighted], rtol=1e-5)
            evaluated = model.evaluate(INPUTS, LABELS, batch_size=32, verbose=0)
            np.testing.assert_allclose(evaluated, weighted, rtol=1e-5)
        model.optimizer.learning_rate = 0.1
        before = losses_of(model, [], epochs=1)[0]
        assert losses_of(model, [], epochs=20)[-1] < before
    print(keras.backend.backend(), "passed")


if __name__ == "__main__":
    main()
