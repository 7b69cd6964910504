"""Each public name of the library has a row of settings, so that the generic suites run over it."""

import inspect
from dataclasses import is_dataclass

import keras
import pytest

from tfphen import density_ratio, layers, losses, metrics, models, optimizers


def kind_of(thing) -> str:
    """The kind of row that an exported thing needs."""
    for base, kind in (
        (keras.layers.Layer, "layer"),
        (keras.losses.Loss, "loss"),
        (keras.metrics.Metric, "metric_class"),
        (keras.optimizers.Optimizer, "optimizer"),
        (keras.optimizers.schedules.LearningRateSchedule, "schedule"),
        (keras.callbacks.Callback, "callback"),
    ):
        if inspect.isclass(thing) and issubclass(thing, base):
            return kind
    return "function"


@pytest.mark.parametrize("module", [density_ratio, layers, losses, metrics, models, optimizers])
def test_every_export_has_a_row(module, rows):
    functions_of_losses = {row["function"] for row in rows["loss"].values()}
    elsewhere = {"get", "Builder", *(name for name in module.__all__ if name.isupper())}
    for name in module.__all__:
        thing, kind = getattr(module, name), kind_of(getattr(module, name))
        if name in elsewhere or name in functions_of_losses:
            continue
        # What a function returns has no behavior of its own to test.
        if inspect.isclass(thing) and (issubclass(thing, tuple) or is_dataclass(thing)):
            continue
        if module is models:
            kind = "model"
        elif module is metrics and kind == "function" and name not in rows["function"]:
            kind = "metric"
        assert name in rows[kind], f"{module.__name__}.{name} has no row in tests/library/rows"


def test_every_row_belongs_to_an_export(rows):
    places = {
        "layer": layers,
        "loss": losses,
        "metric": metrics,
        "metric_class": metrics,
        "optimizer": optimizers,
        "schedule": optimizers,
        "model": models,
    }
    for kind, module in places.items():
        assert rows[kind], kind
        assert rows[kind].keys() <= set(module.__all__)
