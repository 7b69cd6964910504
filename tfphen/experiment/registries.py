"""Types of the registries in which a phenomenon declares its own parts, see `Phenomenon`.

The values of a registry are objects of these types, or references to them. The module imports no
backend, so that declaring a phenomenon stays cheap.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, TypeAlias

from tfphen.core.config import Config

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from tfphen.data.dataset import Dataset
    from tfphen.train.initialization import Arrays
    from tfphen.train.objectives import Objective
    from tfphen.verdicts.estimate import Estimate

Reference: TypeAlias = str
"""A reference `"package.module:name"`, see `tfphen.core.references`."""

ModelBuilder: TypeAlias = "Callable[Concatenate[tuple[int, ...], int, ...], keras.Model]"
"""`(input_shape, num_classes, **settings) -> model`, a built functional or sequential model.

`input_shape` is the shape of one example, and `settings` are those of `Trial.model`.
"""

ObjectiveFactory: TypeAlias = "Callable[..., Objective]"
"""`(**settings) -> objective`, with the settings of `Trial.objective`."""

Source: TypeAlias = "Callable[..., Dataset]"
"""`(**settings) -> dataset`, with keyword-only settings from `Data.options`."""

Start: TypeAlias = (
    "Callable[Concatenate[Arrays, Arrays, np.random.Generator, ...], tuple[Arrays, Arrays]]"
)
"""`(drawn, inputs, generator, **settings) -> (weights, masks)`: the initial weights of one trial.

All are NumPy arrays. `drawn` has every weight by path, drawn from the trial's seed; `inputs` has
the arrays that the trial takes from other records, by name; `generator` is that of the stream
`"start"`. The resulting `weights` replace drawn ones by path, and `masks` of zeros and ones prune
trainable weights by path. The settings are those of `Trial.start`.
"""

Statistic: TypeAlias = (
    "Callable[Concatenate[pd.DataFrame, Config, Mapping[str, Any], ...], "
    "Estimate | tuple[Estimate, Estimate | None] | None]"
)
"""`(table, config, setting, **arguments)`: our estimate of a published number.

`table` has the records of one paper experiment, and `config` its settings; `setting` and
`arguments` are fields of the published number. The result is an estimate, or a pair of it and its
baseline's, or None where the records do not have it.
"""
