"""Networks with the last layer of an objective, and their initialization from trained ones."""

from collections.abc import Mapping

import keras

from tfphen import models
from tfphen.losses.transfer_objectives import transfer_objective
from tfphen.train.initialization import unflatten


def network(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    body: str,
    head: str = "softmax",
    head_settings: Mapping | None = None,
    **settings,
) -> keras.Model:
    """A model with the last layer of an objective, see `tfphen.losses.transfer_objective`.

    Args:
        input_shape: Of one example.
        num_classes: Number of outputs.
        body: Builder in `tfphen.models`, of which all layers but the last are used.
        head: Name of the objective.
        head_settings: Its settings.
        **settings: Of the builder.
    """
    base = models.get(body)(input_shape, num_classes, **settings)
    objective = transfer_objective(head, **(head_settings or {}))
    outputs = objective.head(base.get_layer("features").output, num_classes, seed=0)
    return keras.Model(base.input, outputs, name=f"{body}_for_{head}")


def trained_body(drawn: Mapping, inputs: Mapping, generator) -> tuple[Mapping, Mapping]:
    """Initial weights from a trained network, `inputs["weights"]`, except for the last layer.

    See `tfphen.train.initialization`.
    """
    trained = unflatten(inputs["weights"], drawn)
    return {path: v for path, v in trained.items() if not path.startswith("logits/")}, {}
