"""Runs every row of the importable library on one Keras backend and saves the numbers.

    KERAS_BACKEND=jax python tests/library/run_on_backend.py OUT.npz [REFERENCE.npz]

What is run, with inputs from a seeded NumPy generator: each loss function, its gradient in the
predictions, and its class; each layer in a small model, in inference and in training, with the
gradients of its weights and the state that training leaves; each metric function, with tensors of
the backend as arguments; each metric class over two batches; three updates of each optimizer; the
first steps of each schedule; the small models. Backends draw other initial weights from one seed,
so the run without a reference adds noise to its own and saves them, and a run with one starts from
those of the reference.

OUT.npz holds an array for each result, and two dictionaries as JSON: `failed` with the traceback of
each row that raised, `skipped` with the reason for each that was not run.
"""

import json
import sys
import traceback
import zlib

import keras
import numpy as np
from conftest import load_rows
from keras import ops

from tfphen import density_ratio, layers, losses, metrics, models, optimizers
from tfphen.metrics import input_gradient
from tfphen.metrics.flatness.hessian_products import compiled_gradient

COUNT = 16
NO_ARGUMENTS = "its row has no arguments to call it with"
# Models beyond this are left out: they are stock Keras layers, and take minutes.
MOST_PARAMETERS = 100_000


class Results:
    """Collects arrays by key.

    Args:
        reference: Arrays of the run whose weights are taken over, or None to keep and save ours.
    """

    def __init__(self, reference):
        self.reference, self.arrays, self.failed, self.skipped = reference, {}, {}, {}

    def add(self, key: str, value) -> None:
        self.arrays[f"result/{key}"] = numbers(value)

    def set_weights(self, key: str, model) -> None:
        """Gives a model the same weights on every backend."""
        # Seeds are whole numbers, and the same already.
        found = [variable for variable in model.variables if is_float(variable)]
        trained = {id(variable) for variable in model.trainable_variables}
        generator = np.random.default_rng(zlib.crc32(key.encode()))
        for number, variable in enumerate(found):
            name = f"weights/{key}/{number}"
            if self.reference is None:
                value = ops.convert_to_numpy(variable.value)
                if id(variable) in trained:
                    # So that no bias is zero.
                    value = value + 0.1 * generator.standard_normal(value.shape)
                self.arrays[name] = value.astype("float32")
            else:
                self.arrays[name] = self.reference[name]
            variable.assign(self.arrays[name])
        if self.reference is not None:
            assert f"weights/{key}/{len(found)}" not in self.reference, "fewer weights than there"


def is_float(variable) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def numbers(result) -> np.ndarray:
    """Returns the numbers in a result: a tensor, an array, or a tuple or dataclass of them."""
    if hasattr(result, "__dataclass_fields__"):
        result = {name: getattr(result, name) for name in result.__dataclass_fields__}
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return np.concatenate([np.zeros(0), *[numbers(value) for value in result]])
    if isinstance(result, str) or result is None or callable(result):
        return np.zeros(0)
    return np.ravel(ops.convert_to_numpy(result)).astype("float64")


def tensor(value):
    """Returns an array as a tensor of the backend, in the precision that all of them have."""
    if not isinstance(value, np.ndarray):
        return value
    return ops.convert_to_tensor(
        value.astype({"f": "float32", "i": "int32"}.get(value.dtype.kind, value.dtype))
    )


def labels_and_predictions(row, count=COUNT):
    generator = np.random.default_rng(0)
    labels = row.get("labels", lambda generator, count: generator.integers(0, 3, count))
    predictions = row.get("predictions", lambda generator, count: generator.normal(size=(count, 3)))
    return labels(generator, count), predictions(generator, count).astype("float32")


def run_loss(name, row, results):
    labels, predictions = labels_and_predictions(row)
    function, settings = getattr(losses, row["function"]), row["settings"]
    results.add(f"loss/{name}/function", function(labels, tensor(predictions), **settings))
    gradient = input_gradient(lambda value: function(labels, value, **settings), predictions)
    results.add(f"loss/{name}/gradient", gradient)
    loss = getattr(losses, name)(**settings)
    results.add(f"loss/{name}/class", loss(labels, tensor(predictions)))


def run_model(key, model, inputs, results, training):
    """Adds outputs, state and gradients of all weights of one pass."""
    targets = ops.convert_to_tensor(np.arange(len(inputs)) % 3)
    trainable = [ops.convert_to_numpy(v.value) for v in model.trainable_variables]
    state = [ops.convert_to_tensor(v.value) for v in model.non_trainable_variables]
    ends = np.cumsum([value.size for value in trainable])

    def function(flat, state, inputs):
        parts = [
            ops.reshape(flat[end - value.size : end], value.shape)
            for end, value in zip(ends, trainable, strict=True)
        ]
        outputs, after = model.stateless_call(parts, state, inputs, training=training)
        loss = ops.mean(ops.sparse_categorical_crossentropy(targets, outputs, from_logits=True))
        kept = [value for value in after if is_float(value)]
        return loss, ops.concatenate([ops.reshape(value, (-1,)) for value in (outputs, *kept)])

    flat = np.concatenate([value.ravel() for value in trainable]) if trainable else np.zeros(0)
    gradient, outputs = compiled_gradient(function)(
        flat.astype("float32"), state, ops.convert_to_tensor(inputs)
    )
    # Apart, because each is compared in its own size: a small one would hide behind a large one.
    for number, part in enumerate(np.split(gradient, ends)[:-1]):
        results.add(f"{key}/gradient/{number}", part)
    sizes = [int(np.prod(value.shape)) for value in state if is_float(value)]
    parts = np.split(outputs, np.cumsum([outputs.size - sum(sizes), *sizes])[:-1])
    for number, part in enumerate(parts):
        results.add(f"{key}/state/{number - 1}" if number else f"{key}/outputs", part)


def run_layer(name, row, results):
    if "model" in row:
        model = row["model"]()
    else:
        layer = row["make"]()
        model = layer
        if not isinstance(layer, keras.Model):
            inputs = keras.Input(row["input_shape"])
            features = keras.layers.Flatten()(layer(inputs))
            model = keras.Model(inputs, keras.layers.Dense(3)(features))
    shape = row.get("input_shape") or model.input_shape[1:]
    inputs = np.random.default_rng(0).normal(size=(COUNT, *shape)).astype("float32")
    if not model.built:
        model(inputs)
    results.set_weights(f"layer/{name}", model)
    run_model(f"layer/{name}/inference", model, inputs, results, training=False)
    if row.get("stochastic"):
        results.skipped[f"layer/{name}/training"] = "draws random numbers, other ones everywhere"
    else:
        run_model(f"layer/{name}/training", model, inputs, results, training=True)


def run_metric(name, row, results):
    arguments = [tensor(value) for value in row["arguments"](np.random.default_rng(0))]
    results.add(f"metric/{name}", getattr(metrics, name)(*arguments, **row.get("settings", {})))


def run_function(name, row, results):
    if "arguments" not in row:
        results.skipped[f"function/{name}"] = NO_ARGUMENTS
        return
    modules = (density_ratio, layers, losses, metrics)
    call = next(getattr(module, name) for module in modules if name in module.__all__)
    arguments = [tensor(value) for value in row["arguments"](np.random.default_rng(0))]
    results.add(f"function/{name}", call(*arguments, **row.get("settings", {})))


def run_metric_class(name, row, results):
    labels, predictions = labels_and_predictions(row, 48)
    metric = getattr(metrics, name)(**row["settings"])
    for part in (slice(0, 20), slice(20, None)):
        metric.update_state(labels[part], tensor(predictions[part]))
    results.add(f"metric_class/{name}", metric.result())


def run_optimizer(name, row, results):
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.normal(size=s).astype("float32")) for s in ((4, 3), (3,))]
    optimizer = getattr(optimizers, name)(**row["settings"])
    optimizer.build(variables)
    for _ in range(3):
        gradients = [generator.normal(size=v.shape).astype("float32") for v in variables]
        optimizer.apply([tensor(value) for value in gradients], variables)
    results.add(f"optimizer/{name}", [variable.value for variable in variables])


def run_schedule(name, row, results):
    schedule = getattr(optimizers, name)(**row["settings"])
    results.add(f"schedule/{name}", [schedule(step) for step in range(30)])


def run_models(name, rows, results):
    for number, row in enumerate(rows):
        key = f"model/{name}/{number}"
        if row["parameters"] > MOST_PARAMETERS:
            results.skipped[key] = f"{row['parameters']} parameters, more than {MOST_PARAMETERS}"
            continue
        shape = row["input_shape"]
        model = getattr(models, name)(shape, row["num_classes"], **row["settings"])
        results.set_weights(key, model)
        generator = np.random.default_rng(0)
        draw = generator.normal(size=(2, *shape))
        if "int" in str(model.inputs[0].dtype):
            draw = generator.integers(0, 3, (2, *shape))
        run_model(key, model, draw.astype(model.inputs[0].dtype), results, training=False)


RUNNERS = {
    "loss": run_loss,
    "layer": run_layer,
    "function": run_function,
    "metric": run_metric,
    "metric_class": run_metric_class,
    "optimizer": run_optimizer,
    "schedule": run_schedule,
    "model": run_models,
}
REASONS = {
    "callback": "acts inside `fit`, whose order of random numbers is the backend's own",
}


def main(out: str, reference: str | None = None) -> None:
    results = Results(dict(np.load(reference)) if reference else None)
    for kind, rows in load_rows().items():
        for name, row in rows.items():
            if kind not in RUNNERS:
                results.skipped[f"{kind}/{name}"] = REASONS[kind]
                continue
            try:
                RUNNERS[kind](name, row, results)
            except Exception:
                results.failed[f"{kind}/{name}"] = traceback.format_exc()
    about = {name: json.dumps(getattr(results, name)) for name in ("failed", "skipped")}
    np.savez(out, backend=keras.config.backend(), **about, **results.arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
