"""`tfphen check`: is this environment fit to train in?"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tfphen.report import terminal

FINE, BROKEN, NOTE = "fine", "broken", "note"


class Line(NamedTuple):
    """One thing that was looked at: what it is, `"fine"`, `"broken"` or `"note"`, and how it is."""

    what: str
    state: str
    how: str


def check(data_dir: Path | None) -> int:
    """Prints what was found. Returns 1 if something is broken, else 0."""
    lines = [*_variables(), *_packages(), *_tensorflow(), *_phenomena(), *_data(data_dir)]
    signs = {FINE: "✓", BROKEN: "✗", NOTE: "–"}
    rows = [(f"{signs[line.state]} {line.state}", line.what, line.how) for line in lines]
    terminal.console().print(terminal.table(("", "what", "found"), rows))
    return int(any(line.state == BROKEN for line in lines))


def _variables() -> Iterator[Line]:
    from tfphen.core.errors import TfphenError
    from tfphen.experiment.runner import check_environment

    try:
        check_environment()
        yield Line("environment variables", FINE, "TF_USE_LEGACY_KERAS and KERAS_BACKEND are fit")
    except TfphenError as error:
        yield Line("environment variables", BROKEN, str(error))


def _packages() -> Iterator[Line]:
    from tfphen.core.environment import environment

    found = environment()
    for name in ("tfphen", "python", "tensorflow", "keras", "numpy", "scipy", "pandas"):
        version = found[name]
        yield Line(name, FINE if version else BROKEN, version or "not installed")
    commit = "not a checkout"
    if found["commit"]:
        commit = found["commit"][:10] + (", modified" if found["modified"] else "")
    yield Line("commit", NOTE, commit)


def _tensorflow() -> Iterator[Line]:
    from tfphen.cli import quiet

    if "TF_USE_LEGACY_KERAS" in os.environ:
        yield Line("TensorFlow", NOTE, "not loaded, because of TF_USE_LEGACY_KERAS")
        return
    try:
        quiet.import_tensorflow()
        import keras
        import tensorflow as tf

        devices = [device.name for device in tf.config.list_logical_devices()]
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        backend = keras.backend.backend()
    except Exception as error:
        yield Line("TensorFlow", BROKEN, f"{type(error).__name__}: {error}")
        return
    state = FINE if backend == "tensorflow" else BROKEN
    yield Line("Keras backend", state, backend)
    yield Line("devices", FINE, ", ".join(devices))
    chosen = f"{threads} within an operation" if threads else "chosen by TensorFlow"
    yield Line("threads", NOTE, f"{chosen}, {os.cpu_count()} CPUs")
    yield from _hooks(keras)


def _hooks(keras) -> Iterator[Line]:
    """The engine walks a model's graph by a private function of Keras: it may move in a release."""
    try:
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        seen = []
        model._run_through_graph(inputs, operation_fn=lambda op: seen.append(op) or op)
        names = [layer.name for layer in model._flatten_layers(include_self=False)]
        works = len(seen) >= 1 and len(names) >= 1
        how = "Keras walks a graph by a function of ours" if works else "Keras did not call it"
        yield Line("private hook of Keras", FINE if works else BROKEN, how)
    except Exception as error:
        yield Line("private hook of Keras", BROKEN, f"{type(error).__name__}: {error}")


def _phenomena() -> Iterator[Line]:
    from tfphen.cli import list
    from tfphen.experiment.phenomenon import discover

    try:
        found = [list.describe(kind) for kind in discover().values()]
        yield Line("phenomena", FINE if found else BROKEN, f"{len(found)}, their configs are read")
    except Exception as error:
        yield Line("phenomena", BROKEN, f"{type(error).__name__}: {error}")


def _data(data_dir: Path | None) -> Iterator[Line]:
    from tfphen.data import sources

    for source in sources.available(data_dir):
        if source.kind == "tfds":
            yield Line(f"data set {source.name}", NOTE, source.found or "not here")
