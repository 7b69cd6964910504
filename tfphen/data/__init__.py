"""Data: embedded sources, prepared tfds sets, and corruptions.

`load` gives a source as arrays, `resolve` gives what one trial sees. Every random draw comes from
a generator that is passed in or from a named stream of a seed.
"""

from tfphen.data.corruptions import (
    CORRUPTIONS,
    corrupt,
    long_tail_counts,
    step_counts,
    stratified_order,
)
from tfphen.data.dataset import Dataset, Examples, Resolved
from tfphen.data.noise_models import flip_labels, transition_matrix
from tfphen.data.resolution import resolve
from tfphen.data.sources import EMBEDDED, Source, available, check, fetch, load

__all__ = [
    "CORRUPTIONS",
    "EMBEDDED",
    "Dataset",
    "Examples",
    "Resolved",
    "Source",
    "available",
    "check",
    "corrupt",
    "fetch",
    "flip_labels",
    "load",
    "long_tail_counts",
    "resolve",
    "step_counts",
    "stratified_order",
    "transition_matrix",
]
