"""A member of a population is the same training as the trial alone, and as stock Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives
from tfphen.train.loop import Trainer

layers = keras.layers


def mlp():
    return keras.Sequential(
        [keras.Input((12,)), layers.Dense(32, activation="relu"), layers.Dense(4)]
    )


def batch_norm_cnn():
    return keras.Sequential(
        [
            keras.Input((12, 1)),
            layers.Conv1D(8, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling1D(2),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def dropout_net():
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(16, activation="tanh"),
            layers.Dropout(0.2),
            layers.Dense(4),
        ]
    )


def image_cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def examples(model, members, count=300, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(count, *model.input_shape[1:])).astype("float32")
    labels = generator.integers(0, 4, (members, count)).astype("int32")
    return inputs, labels


def train(
    build,
    members,
    steps=200,
    batch=50,
    rates=None,
    decays=None,
    coupled=False,
    optimizer=None,
    labels=None,
    **settings,
):
    """Trains members `members` (their numbers are their seeds) and returns the trainer."""
    model = build()
    inputs, all_labels = examples(model, 8)
    labels = all_labels if labels is None else labels
    population = Population(model, members)
    rule = MemberOptimizer(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        population,
        None if rates is None else [rates[m] for m in members],
        None if decays is None else [decays[m] for m in members],
        coupled,
    )
    trainer = Trainer(
        population,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs, labels[members]), batch, batches.Streams(members)
        ),
        settings.pop("objective", objectives.cross_entropy),
        rule,
        settings.pop("totals", steps),
        **settings,
    )
    trainer.advance(steps)
    return trainer


def of_two(data):
    """Batches of 50 of two members, with seeds 0 and 1."""
    return batches.DeviceBatches(data, 50, batches.Streams([0, 1]))


def largest_difference(a, b):
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


# Rounding that grows at the kinks of max pooling reaches 1e-5 after a hundred steps or so.
@pytest.mark.parametrize(
    ("build", "steps", "single"),
    [(mlp, 200, (0, 2, 4)), (batch_norm_cnn, 200, (4,)), (dropout_net, 200, (4,)),
     (image_cnn, 40, (4,))],
)  # fmt: skip
def test_member_equals_the_trial_alone(build, steps, single):
    together = train(build, [0, 1, 2, 3, 4], steps)
    shuffled = train(build, [4, 2, 0], steps)
    for number in single:
        alone = [v[0] for v in train(build, [number], steps).members.values()]
        mine = [v[number] for v in together.members.values()]
        assert largest_difference(mine, alone) < 1e-5
    for place, number in enumerate((4, 2, 0)):
        mine = [v[number] for v in together.members.values()]
        other = [v[place] for v in shuffled.members.values()]
        assert largest_difference(mine, other) < 1e-5
    assert together.losses[-1, :, 0].mean() < together.losses[0, :, 0].mean()


# Of 300 examples, batches of 64 are full ones and a last one of 44; those of 50 are all full.
@pytest.mark.parametrize(
    ("build", "batch"), [(mlp, 50), (mlp, 64), (batch_norm_cnn, 64), (image_cnn, 64)]
)
def test_member_equals_stock_keras(build, batch):
    trainer = train(build, [3, 5], steps=30, batch=batch)
    model = build()
    population = Population(model, [5])
    model.set_weights([v[0] for v in population.values()])
    inputs, labels = examples(model, 8)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for positions in batches.Order(5, 300, batch).steps_between(0, 30):
        rows = positions[positions >= 0]
        with tf.GradientTape() as tape:
            value = loss(labels[5][rows], model(inputs[rows], training=True))
        optimizer.apply(
            tape.gradient(value, [v.value for v in model.trainable_variables]),
            model.trainable_variables,
        )
    member = trainer.members.member(1)
    assert largest_difference(member.get_weights(), model.get_weights()) < 2e-5
    expected = model(inputs, training=False).numpy()
    np.testing.assert_allclose(trainer.predict(inputs)[1], expected, atol=2e-4)


def test_ways_of_compiling_agree():
    results = [
        train(image_cnn, [0, 1, 2], steps=50, execution=execution.Execution(xla, unrolled, "test"))
        for xla, unrolled in ((True, False), (False, False), (False, True), (True, True))
    ]
    for other in results[1:]:
        assert largest_difference(results[0].members.values(), other.members.values()) < 1e-4


def test_dropout_masks_do_not_depend_on_the_compiler():
    results = [
        train(dropout_net, [0, 1], steps=20, execution=execution.Execution(xla, unrolled, "test"))
        for xla, unrolled in ((True, False), (False, True))
    ]
    assert largest_difference(results[0].members.values(), results[1].members.values()) < 1e-5


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD", "RMSprop", "Adagrad", "Lion"])
def test_stock_optimizers_with_rates_and_decays_of_their_own(name):
    make = getattr(keras.optimizers, name)
    rates, decays = {0: 1.0, 1: 0.3, 2: 2.0}, {0: 0.0, 1: 0.01, 2: 0.1}
    together = train(mlp, [0, 1, 2], 40, rates=rates, decays=decays, optimizer=make(1e-3))
    for number in (0, 1, 2):
        model = mlp()
        model.set_weights([v[0] for v in Population(model, [number]).values()])
        inputs, labels = examples(model, 8)
        optimizer = make(1e-3 * rates[number], weight_decay=decays[number])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        for rows in batches.Order(number, 300, 50).steps_between(0, 40):
            with tf.GradientTape() as tape:
                value = loss(labels[number][rows], model(inputs[rows]))
            gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
            optimizer.apply(gradients, model.trainable_variables)
        mine = [v[number] for v in together.members.values()]
        assert largest_difference(mine, model.get_weights()) < (2e-3 if name == "Lion" else 2e-5)


def test_coupled_decay_is_the_gradient_of_half_the_squared_norm():
    decays = {0: 0.1, 1: 0.0}
    make = keras.optimizers.SGD
    coupled = train(mlp, [0, 1], 20, decays=decays, coupled=True, optimizer=make(0.1, 0.9))

    def penalized(step):
        norm = tf.add_n(
            [tf.reduce_sum(w**2, range(1, len(w.shape))) for w in step.weights.values()]
        )
        return tf.reduce_mean(objectives.cross_entropy(step), 1) + 0.05 * norm

    explicit = train(mlp, [0], 20, objective=penalized, optimizer=make(0.1, 0.9))
    first = [v[0] for v in coupled.members.values()]
    assert largest_difference(first, [v[0] for v in explicit.members.values()]) < 1e-5


@pytest.fixture(scope="module")
def unclipped():
    return train(mlp, [1], 40, optimizer=keras.optimizers.SGD(0.5)).members.values()


@pytest.mark.parametrize("clip", [{"clipnorm": 0.1}, {"global_clipnorm": 0.1}, {"clipvalue": 0.01}])
def test_clipping_is_per_member(clip, unclipped):
    together = train(mlp, [0, 1, 2], 40, optimizer=keras.optimizers.SGD(0.5, **clip))
    alone = train(mlp, [1], 40, optimizer=keras.optimizers.SGD(0.5, **clip))
    mine = [v[1] for v in together.members.values()]
    assert largest_difference(mine, [v[0] for v in alone.members.values()]) < 1e-5
    assert largest_difference(mine, [v[0] for v in unclipped]) > 1e-2


def test_optimizers_that_are_not_elementwise_are_refused():
    for optimizer in (keras.optimizers.Lamb(), keras.optimizers.Nadam()):
        with pytest.raises(ValueError, match=r"elementwise.*Received"):
            train(mlp, [0], 1, optimizer=optimizer)
    with pytest.raises(ValueError, match="use_ema"):
        train(mlp, [0], 1, optimizer=keras.optimizers.SGD(use_ema=True))


def test_a_diverged_member_is_frozen_and_the_others_go_on():
    rates = {0: 1.0, 1: 1e20, 2: 1.0}
    trainer = train(mlp, [0, 1, 2], 60, rates=rates)
    assert trainer.diverged_at[0] == trainer.diverged_at[2] == -1
    assert 0 < trainer.diverged_at[1] < 20
    assert all(np.isfinite(v[[0, 2]]).all() for v in trainer.members.values())
    alone = train(mlp, [2], 60, rates=rates)
    mine = [v[2] for v in trainer.members.values()]
    assert largest_difference(mine, [v[0] for v in alone.members.values()]) < 1e-5
    at_freeze = train(mlp, [0, 1, 2], int(trainer.diverged_at[1]), rates=rates, totals=60)
    for now, then in zip(trainer.members.values(), at_freeze.members.values(), strict=True):
        np.testing.assert_array_equal(now[1], then[1])


def test_members_of_different_length_and_size():
    model = mlp()
    inputs, labels = examples(model, 2)
    population = Population(model, [0, 1])
    data = batches.DeviceDataset(inputs, labels, sizes=[300, 120])
    rule = MemberOptimizer(keras.optimizers.SGD(0.05), population, totals=[40, 25])
    trainer = Trainer(population, of_two(data), objectives.cross_entropy, rule, [40, 25])
    trainer.advance(40)
    small = Population(model, [1])
    alone = Trainer(
        small,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs[:120], labels[1:, :120]), 50, batches.Streams([1])
        ),
        objectives.cross_entropy,
        MemberOptimizer(keras.optimizers.SGD(0.05), small, totals=[25]),
        25,
    )
    alone.advance(25)
    mine = [v[1] for v in population.values()]
    assert largest_difference(mine, [v[0] for v in small.values()]) < 1e-5


def test_sample_weights_act_and_masks_hold():
    model = mlp()
    inputs, labels = examples(model, 2)
    weights = np.ones((2, 300), "float32")
    weights[1, 150:] = 0.0
    path = model.trainable_variables[0].path
    mask = (np.random.default_rng(0).random((2, 12, 32)) < 0.5).astype("float32")
    population = Population(model, [0, 1], masks={path: mask})
    rule = MemberOptimizer(keras.optimizers.Adam(1e-2), population)
    data = batches.DeviceDataset(inputs, labels, weights=weights)
    trainer = Trainer(population, of_two(data), objectives.cross_entropy, rule, 300)
    trainer.advance(300)
    kernel = population.value_of(path)
    assert np.all(kernel[mask == 0] == 0) and np.any(kernel[mask == 1] != 0)
    accuracy = (trainer.predict(inputs).argmax(-1) == labels).astype(float)
    assert accuracy[1, :150].mean() > accuracy[1, 150:].mean() + 0.2
    assert abs(accuracy[0, :150].mean() - accuracy[0, 150:].mean()) < 0.15


def test_hooks_activations_and_second_gradients():
    def objective(step):
        with tf.GradientTape() as tape:
            tape.watch(step.inputs)
            peak = tf.reduce_max(step.apply(step.inputs), -1)
        slope = tape.gradient(peak, step.inputs)
        hidden = next(v for k, v in step.activations.items() if "dense" in k)
        assert hidden.shape[:2] == step.labels.shape[:2]
        return objectives.cross_entropy(step) + tf.reduce_sum(slope**2, -1)

    from tfphen.train.loop import StepHook

    def norm(step, gradients):
        squares = [tf.reduce_sum(g**2, range(1, len(g.shape))) for g in gradients.values()]
        return tf.sqrt(tf.add_n(squares))[:, None]

    flat = train(mlp, [0, 1], 60, objective=objective, step_hook=StepHook(("gradient_norm",), norm))
    steep = train(mlp, [0, 1], 60)
    assert flat.losses.shape == (60, 2, 2)
    assert np.all(flat.losses[:, :, 1] > 0)

    def slope_of(trainer):
        model = trainer.members.member(0)
        inputs = tf.constant(examples(model, 1)[0])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            peak = tf.reduce_max(model(inputs), -1)
        return float(tf.reduce_mean(tape.gradient(peak, inputs) ** 2))

    assert slope_of(flat) < 0.5 * slope_of(steep)


def test_a_joint_objective_couples_members():
    def joint(step):
        mean = tf.reduce_mean(step.outputs, 0, keepdims=True)
        return tf.reduce_mean(objectives.cross_entropy(step)) - tf.reduce_mean(
            tf.minimum((step.outputs - mean) ** 2, 4.0)
        )

    coupled = train(mlp, [0, 1, 2], 60, objective=joint)
    free = train(mlp, [0, 1, 2], 60)
    inputs, _ = examples(mlp(), 3)
    assert coupled.predict(inputs).std(0).mean() > 1.1 * free.predict(inputs).std(0).mean()


def test_the_package_has_its_main_names():
    import tfphen.population as package

    assert package.Population is Population
    assert package.MemberOptimizer is MemberOptimizer
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'Populations'"):
        package.Populations  # noqa: B018
