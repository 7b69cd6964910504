"""The flow: its inverse, its members, its scores, and the loss that trains it."""

import math

import numpy as np
import pytest


@pytest.fixture(scope="module")
def flows(tensorflow):
    from tfphen.phenomena.causal_mechanism_transfer import contrastive_flow
    from tfphen.population.population import Population

    model = contrastive_flow.model((4,), 6, depth=3, hidden_units=5, score_units=7)
    members = Population(model, [0, 1])
    # Couplings start as constants: move them, so that they are tested too.
    generator = np.random.default_rng(0)
    for variable in members.variables:
        variable.assign(variable + 0.3 * generator.normal(size=variable.shape))
    return contrastive_flow, members


def test_the_flow_is_undone(tensorflow, flows):
    contrastive_flow, members = flows
    flow = contrastive_flow.flow_of(members)
    points = np.random.default_rng(1).normal(size=(2, 30, 4))
    components = flow.forward(tensorflow.constant(points)).numpy()
    assert abs(components - points).max() > 0.1
    back = flow.inverse(tensorflow.constant(components)).numpy()
    np.testing.assert_allclose(back, points, atol=1e-5)


def test_members_score_as_the_model_of_each_does(tensorflow, flows):
    from tfphen.population.batching import Members, forward, lower_by_vectorized_map

    _, members = flows
    points = np.random.default_rng(1).normal(size=(2, 30, 4)).astype("float32")
    weights = {id(t): tensorflow.convert_to_tensor(v.value) for t, v in members.trainable}
    state = Members(weights=weights)
    together = forward(members.model, tensorflow.constant(points), state).numpy()
    assert together.shape == (2, 30, 5)
    layer = members.model.get_layer("contrastive_flow")
    mapped = lower_by_vectorized_map(layer, state, tensorflow.constant(points)).numpy()
    np.testing.assert_allclose(mapped, together, atol=1e-5)
    alone = members.member(1)(points[1]).numpy()
    np.testing.assert_allclose(alone, together[1], atol=1e-5)


def test_scores_are_sums_over_components(tensorflow, flows):
    contrastive_flow, members = flows
    names = [weight.name for weight in members.model.weights]
    weights = {
        name: tensorflow.constant(v[0]) for name, v in zip(names, members.values(), strict=True)
    }
    generator = np.random.default_rng(2)
    first, second = generator.normal(size=(2, 8, 4)).astype("float32")
    mixed = np.concatenate([first[:, :2], second[:, 2:]], axis=1)
    rest = np.concatenate([second[:, :2], first[:, 2:]], axis=1)
    scores = [contrastive_flow.domain_scores(weights, x) for x in (first, second, mixed, rest)]
    np.testing.assert_allclose(scores[0] + scores[1], scores[2] + scores[3], atol=1e-4)


def test_the_loss_tells_own_from_other_domains(tensorflow, flows):
    from types import SimpleNamespace

    tf, (contrastive_flow, _) = tensorflow, flows
    objective = contrastive_flow.generalized_contrastive()
    labels = np.tile(np.arange(6), 50)[None]
    own = np.eye(6)[labels][..., :5]

    def losses(scores, number=0):
        step = SimpleNamespace(
            outputs=tf.constant(scores, tf.float32),
            labels=tf.constant(labels, tf.int32),
            number=tf.constant(number),
        )
        return objective(step).numpy()

    target = labels == 5
    blind = losses(np.zeros((1, 300, 5)))
    np.testing.assert_allclose(blind[~target], 1.0, rtol=1e-6)
    for scores in (np.zeros((1, 300, 5)), 30 * own - 15):
        assert (losses(scores)[target] == 0).all()
    # The other domain is never the own one: where the own alone scores high nothing is lost.
    assert losses(30 * own - 15)[~target].max() < 1e-5
    assert losses(15 - 30 * own)[~target].min() > 20
    # Each of the four others is drawn about as often, and anew at each step.
    ranks = np.broadcast_to(np.arange(5.0), (1, 300, 5))
    drawn = [losses(100.0 * ranks, number) - losses(0.0 * ranks) for number in (0, 1)]
    other = [np.round(2 * math.log(2) * (one + 0.5) / 100).astype(int) for one in drawn]
    counts = np.bincount(other[0][labels == 0])
    assert len(counts) == 5
    assert counts[0] == 0
    assert counts[1:].min() >= 5
    assert (other[0] != other[1]).any()
