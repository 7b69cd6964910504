"""Sets of networks: input-gradient similarity, the objective, and initialization."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError


def test_similarity_of_gradients(tensorflow):
    tf = tensorflow
    from tfphen.phenomena.simplicity_bias.network_sets import (
        input_gradient_similarity as similarity,
    )

    one = np.asarray([3.0, 4.0], "float32")
    twice = tf.constant(np.stack([one, one]))
    values = [float(similarity(twice, kind)) for kind in ("dot", "squared_dot", "squared_cosine")]
    np.testing.assert_allclose(values, [25.0, 625.0, 1.0], rtol=1e-5)
    orthogonal = tf.constant(np.diag([1.0, 2.0, 5.0]))
    for kind in ("dot", "squared_dot", "squared_cosine"):
        assert float(similarity(orthogonal, kind)) == 0
    opposite = tf.constant(np.stack([one, -one]))
    assert float(similarity(opposite, "dot")) == pytest.approx(-25)
    assert float(similarity(opposite, "squared_cosine")) == pytest.approx(1)
    with pytest.raises(UsageError, match=r"`kind` must be one of .*Received: kind='cosine'"):
        similarity(twice, "cosine")


@pytest.mark.parametrize("hidden", [(), (6, 4)])
def test_the_objective_is_that_of_networks_one_by_one(tensorflow, hidden):
    tf = tensorflow
    from tfphen.phenomena.simplicity_bias.network_sets import (
        diverse,
        input_gradient_similarity,
        network_set,
    )
    from tfphen.population import population
    from tfphen.train.objectives import Step

    model = network_set((5,), 2, models=3, hidden_units=hidden)
    members = population.Population(model, [0, 1])
    weights = population.Weights(members, unrolled=False)

    def apply(inputs):
        return population.run(model, inputs, weights).outputs

    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(2, 7, 5)).astype("float32"))
    labels = generator.integers(2, size=(2, 7))
    strengths = tf.constant([0.0, 2.0])
    constants = {"strength": strengths}
    step = Step(inputs, labels, apply(inputs), {}, {}, constants, 0, apply)
    losses = diverse("squared_dot")(step)
    for member in range(2):
        one = members.member(member)
        with tf.GradientTape() as tape:
            x = tf.constant(inputs[member])
            tape.watch(x)
            outputs = one(x)
        # [batch, models, d]: the gradient of each logit by itself.
        gradients = tape.batch_jacobian(outputs, x)
        truth = labels[member][:, None] * np.ones((1, 3))
        expected = np.logaddexp(0, (1 - 2 * truth) * outputs.numpy()).sum(-1)
        penalty = input_gradient_similarity(gradients, "squared_dot").numpy()
        np.testing.assert_allclose(losses[member], expected + 2.0 * member * penalty, rtol=1e-4)
        if not hidden:
            # Of linear networks, the same for every example: products of their weights.
            kernels = one.get_weights()[0][..., 0].astype("float64")
            pairs = [kernels[i] @ kernels[j] for i in range(3) for j in range(i)]
            np.testing.assert_allclose(penalty, np.sum(np.square(pairs)), rtol=1e-4)
            assert np.ptp(penalty) < 1e-5


def test_networks_of_a_set_are_initialized_like_single_ones(tensorflow):
    from tfphen.phenomena.simplicity_bias.network_sets import network_set
    from tfphen.population.initial_weights import initial_weights

    model = network_set((30,), 2, models=40, hidden_units=(20,))
    kernel = initial_weights(model, 0)[0]
    assert kernel.shape == (40, 30, 20)
    limit = np.sqrt(6 / (30 + 20))
    assert abs(kernel).max() == pytest.approx(limit, rel=1e-3)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
