"""Loss sensitivity: how far the training loss depends on each example, through all of training."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.metrics.hessian_products import compiled_gradient, compiled_hessian_products
from tfphen.metrics.probabilities import host_array, integer_array

_SAMPLED_STEPS = 10


class LossSensitivity(NamedTuple):
    """What a replayed training says. With `weights` of members, arrays have a leading axis.

    Attributes:
        sensitivity: Of each example, `[n]` or `[members, n]`.
        losses: Mean training loss at each of the sampled steps, nats, `[steps]` or
            `[members, steps]`.
        weights: Those after the last update, one array for each trainable variable of the model.
    """

    sensitivity: np.ndarray
    losses: np.ndarray
    weights: list


def loss_sensitivity(
    model, inputs, labels, learning_rate, steps, at=None, weights=None
) -> LossSensitivity:
    """Mean total derivative of the training loss in each input, through gradient descent.

    The weights w_t follow from the inputs: w_{t+1} = w_t - η ∇L(w_t), where L is the mean
    cross-entropy of all n examples at weights w_t, and no example is left out of an update. So an
    input x acts on the loss L_t at step t directly and through all earlier updates:

        g_x = mean over the sampled t of ‖ dL_t / dx ‖_1

    Training is replayed forwards, then differentiated backwards from every sampled t. With the
    adjoint a = dL_t / dw_s, each step back from s + 1 to s is one product with the Hessian:

        dL_t / dx ← dL_t / dx - η ∂(a · ∇L(w_s)) / ∂x,    a ← a - η ∇²L(w_s) a

    That is exact, and costs max(t) gradients and sum(t) products, each about three gradients. The
    weights at every step are kept in memory.

    How unequal the g_x are, as `gini_coefficient` says, tells real data from noise: there a few
    examples matter more than others.

    Args:
        model: A built `keras.Model` from inputs to logits `[n, K]`, run in inference mode. Its
            present weights are where training begins. It is not changed.
        inputs: The training set, `[n, ...]`, or `[members, n, ...]`.
        labels: Integers of 0..K-1, `[n]` or `[members, n]`.
        learning_rate: η ≥ 0 of plain gradient descent on the full batch.
        steps: Number of updates T ≥ 0.
        at: The sampled steps t, integers of 0..T: the loss after t updates. None for ten, or T,
            that are evenly spaced up to T.
        weights: Where members begin, to replay many trainings at once: one array
            `[members, *shape]` for each of `model.trainable_variables`. Inputs and labels without
            an axis of members are those of all.

    Returns:
        A `LossSensitivity`.

    Raises:
        ValueError: Shapes that do not fit, labels out of range, a negative `learning_rate`, steps
            out of range, inputs, logits or gradients that are not finite; a backend without
            automatic differentiation.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    >>> settings = {"learning_rate": 1.0, "steps": 2, "at": [2]}
    >>> found = loss_sensitivity(model, [[0.5], [0.0]], [0, 1], **settings)
    >>> [round(value, 3) for value in found.sensitivity.tolist()]
    [0.407, 0.5]

    When not to use:
        On trainings with mini-batches, momentum or another optimizer, whose path is another. With
        ReLU networks second derivatives miss the kinks. For models with dropout or batch
        normalization the path differs from that of `fit`, which runs them in training mode.

    Reference:
        D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017,
        arXiv 1706.05394, section 3.2.
    """
    learning_rate = checks.number("learning_rate", learning_rate, 0)
    steps = checks.whole("steps", steps, 0)
    at = _sampled(at, steps)
    replay = _Replay(model, inputs, labels, weights)
    states, gradients, losses = replay.descend(learning_rate, steps, at)
    total = 0.0
    for step in at:
        gradient = gradients[step]
        derivative = gradient[replay.in_inputs].copy()
        adjoint = replay.without_inputs(gradient)
        for earlier in range(step - 1, -1, -1):
            product = replay.product(states[earlier], adjoint)
            derivative -= learning_rate * product[replay.in_inputs]
            adjoint -= learning_rate * replay.without_inputs(product)
        total = total + np.abs(derivative.astype("float64").reshape(*replay.rows, -1)).sum(-1)
    found = total / len(at), np.stack([losses[step] for step in at], axis=-1)
    if not np.isfinite(found[0]).all():
        raise ValueError(
            "The training must not diverge, nor its derivatives. "
            f"Received: learning_rate={learning_rate}, steps={steps}, with losses "
            f"{found[1].tolist()}"
        )
    final = replay.cut(states[steps])
    if weights is None:
        return LossSensitivity(found[0][0], found[1][0], [value[0] for value in final])
    return LossSensitivity(*found, final)


def _sampled(at, steps: int) -> list[int]:
    """Returns the steps at which the loss is differentiated."""
    if at is None:
        count = min(_SAMPLED_STEPS, max(steps, 1))
        return [round(steps * number / count) for number in range(1, count + 1)]
    array = integer_array(at, "at")
    good = array.ndim == 1 and array.size and array.min() >= 0 and array.max() <= steps
    checks.require(bool(good), "at", at, f"must list integers of 0 to `steps`, {steps}")
    return array.tolist()


class _Replay:
    """Trainings of one model as functions of one vector: weights of all members, then all inputs.

    Args:
        model, inputs, labels, weights: As in `loss_sensitivity`.

    Attributes:
        rows: `(members, n)`.
        in_inputs: Where the inputs are in the vector.
    """

    def __init__(self, model, inputs, labels, weights):
        import keras

        if not isinstance(model, keras.Model) or not model.built:
            raise ValueError(
                "`model` must be a `keras.Model` that is built: call it once, or give it a "
                f"`keras.Input`. Received: {model!r}"
            )
        self.model, variables = model, model.trainable_variables
        self.shapes = [tuple(variable.shape) for variable in variables]
        if weights is None:
            weights = [keras.ops.convert_to_numpy(variable.value)[None] for variable in variables]
        else:
            weights = [host_array(value, "weights") for value in weights]
        members = weights[0].shape[0] if weights and weights[0].ndim else 0
        if not members or [value.shape for value in weights] != [
            (members, *shape) for shape in self.shapes
        ]:
            raise ValueError(
                "`weights` must be one array (members, *shape) for each of "
                f"`model.trainable_variables`, with shapes {self.shapes}. "
                f"Received: shapes {[value.shape for value in weights]}"
            )
        self.dtype = keras.backend.standardize_dtype(variables[0].dtype)
        self.inputs = self._checked_inputs(host_array(inputs, "inputs"), members)
        self.rows = self.inputs.shape[:2]
        labels = integer_array(labels, "labels")
        if labels.shape not in ((self.rows[1],), self.rows):
            raise ValueError(
                f"`labels` must have shape {(self.rows[1],)} or {self.rows}. "
                f"Received: labels.shape={labels.shape}"
            )
        classes = model.output_shape[-1]
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"`labels` must be integers of 0 to {classes - 1}, one of each logit. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )
        flat = [value.reshape(members, -1) for value in weights]
        self.start = np.concatenate(flat, axis=1).astype(self.dtype)
        self.in_inputs = slice(self.start.size, None)
        to_tensor = keras.ops.convert_to_tensor
        self._data = [
            to_tensor(np.broadcast_to(labels, self.rows).astype("int32")),
            [to_tensor(variable.value) for variable in model.non_trainable_variables],
        ]
        self._gradient = compiled_gradient(self._total)
        self._products = compiled_hessian_products(lambda *given: self._total(*given)[0])

    def _checked_inputs(self, inputs: np.ndarray, members: int) -> np.ndarray:
        shape = tuple(self.model.input_shape[1:])
        leads = {(*inputs.shape[:1], *shape): (members, *inputs.shape)}
        leads[(members, *inputs.shape[1:2], *shape)] = inputs.shape
        if inputs.shape not in leads or not inputs.size or not np.isfinite(inputs).all():
            raise ValueError(
                f"`inputs` must be finite, of shape (n, *shape) or (members, n, *shape) with the "
                f"model's shape {shape}, members {members} and n >= 1. "
                f"Received: inputs.shape={inputs.shape}"
            )
        return np.broadcast_to(inputs, leads[inputs.shape]).astype(self.dtype)

    def _total(self, point, labels, state):
        """Returns the sum of the members' losses, so that each has its own gradient, and them."""
        from keras import ops

        flat = ops.reshape(point[: self.in_inputs.start], self.start.shape)
        inputs = ops.reshape(point[self.in_inputs], self.inputs.shape)

        def one(member):
            weights, inputs, labels = member
            values, first = [], 0
            for shape in self.shapes:
                size = int(np.prod(shape))
                values.append(ops.reshape(weights[first : first + size], shape))
                first += size
            logits, _ = self.model.stateless_call(values, state, inputs, training=False)
            chosen = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
            return ops.mean(ops.logsumexp(logits, axis=-1) - ops.sum(logits * chosen, axis=-1))

        losses = ops.vectorized_map(one, (flat, inputs, labels))
        return ops.sum(losses), losses

    def _point(self, state: np.ndarray) -> np.ndarray:
        return np.concatenate((state.ravel(), self.inputs.ravel()))

    def descend(self, learning_rate: float, steps: int, at: list[int]):
        """Trains. Returns the states `[members, weights]` at every step, and at those of `at` the
        gradient in the whole vector and the losses."""
        states, gradients, losses = [self.start], {}, {}
        for step in range(steps + 1):
            gradient, loss = self._gradient(self._point(states[-1]), *self._data)
            if step in at:
                gradients[step], losses[step] = gradient, loss
            if step < steps:
                moved = gradient[: self.in_inputs.start].reshape(self.start.shape)
                states.append((states[-1] - learning_rate * moved).astype(self.dtype))
        return states, gradients, losses

    def product(self, state: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Returns the Hessian in the whole vector, at these weights, times a vector."""
        return self._products(self._point(state), vector[None], *self._data)[0]

    def without_inputs(self, vector: np.ndarray) -> np.ndarray:
        """Returns the vector with zeros in the place of the inputs."""
        kept = np.array(vector, self.dtype)
        kept[self.in_inputs] = 0
        return kept

    def cut(self, state: np.ndarray) -> list[np.ndarray]:
        """Returns flat weights as one array `[members, *shape]` for each variable."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [
            part.reshape(len(state), *shape)
            for part, shape in zip(np.split(state, ends, axis=1), self.shapes, strict=True)
        ]
