"""`tfphen check`: checks the environment."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from tfphen.cli import list as listing
from tfphen.cli import quiet
from tfphen.cli.options import PLAIN, DataDir
from tfphen.core import keras_internals, references
from tfphen.core.environment import environment
from tfphen.core.errors import TfphenError
from tfphen.data import sources
from tfphen.experiment.phenomenon import discover
from tfphen.experiment.runner import check_environment
from tfphen.report import terminal

FINE, BROKEN, NOTE = "ok", "broken", "note"
app = typer.Typer(**PLAIN)


class Line(NamedTuple):
    """One check: its subject, its state, `"ok"`, `"broken"` or `"note"`, and the details."""

    what: str
    state: str
    how: str


@app.command()
def check(data_dir: DataDir = None) -> None:
    """Check the environment: packages, devices, variables, data. Exit with 1 if one is broken."""
    lines = [*_variables(), *_packages(), *_tensorflow(), *_phenomena(), *_data(data_dir)]
    signs = {FINE: "✓", BROKEN: "✗", NOTE: "–"}
    rows = [(f"{signs[line.state]} {line.state}", line.what, line.how) for line in lines]
    terminal.console().print(terminal.table(("", "what", "found"), rows))
    raise typer.Exit(int(any(line.state == BROKEN for line in lines)))


def _variables() -> Iterator[Line]:
    try:
        check_environment()
        yield Line("environment variables", FINE, "TF_USE_LEGACY_KERAS and KERAS_BACKEND are ok")
    except TfphenError as error:
        yield Line("environment variables", BROKEN, str(error))


def _packages() -> Iterator[Line]:
    found = environment()
    for name in ("tfphen", "python", "tensorflow", "keras", "numpy", "scipy", "pandas"):
        version = found[name]
        yield Line(name, FINE if version else BROKEN, version or "not installed")
    commit = "not a checkout"
    if found["commit"]:
        commit = found["commit"][:10] + (", modified" if found["modified"] else "")
    yield Line("commit", NOTE, commit)


def _tensorflow() -> Iterator[Line]:
    if "TF_USE_LEGACY_KERAS" in os.environ:
        yield Line("TensorFlow", NOTE, "not loaded, because of TF_USE_LEGACY_KERAS")
        return
    try:
        quiet.import_tensorflow()
        # By reference: this command must also work in an installation without them.
        keras, tf = references.module("keras"), references.module("tensorflow")
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
    yield from _keras_internals()


def _keras_internals() -> Iterator[Line]:
    """Checks for the private names of Keras that the engine relies on."""
    missing = keras_internals.missing()
    what = f"{len(keras_internals.NAMES)} private names of Keras"
    if missing:
        yield Line(what, BROKEN, f"not in this release: {', '.join(missing)}")
    else:
        yield Line(what, FINE, "all found")


def _phenomena() -> Iterator[Line]:
    try:
        found = [listing.describe(name, kind.config_path()) for name, kind in discover().items()]
        yield Line("phenomena", FINE if found else BROKEN, f"{len(found)}, all configs valid")
    except Exception as error:
        yield Line("phenomena", BROKEN, f"{type(error).__name__}: {error}")


def _data(data_dir: Path | None) -> Iterator[Line]:
    for source in sources.available(data_dir):
        if source.kind == "tfds":
            yield Line(f"dataset {source.name}", NOTE, source.found or "not found")
