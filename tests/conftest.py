"""Settings and fixtures for every test: few threads, two CPU devices, no display, local data."""

import os

# Read once, when TensorFlow, Keras and Matplotlib are imported: so before any of them is.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Set in the processes that share the tests out; the command line would take it for a screen's.
os.environ.pop("COLUMNS", None)

import shutil
import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.phenomena.harness")

ROOT = Path(__file__).resolve().parents[1]
CPU_DEVICES = 2


def configure_tensorflow():
    """Imports TensorFlow, splits the CPU into two logical devices and returns the module.

    Devices are fixed from the first operation of the process on, so every test has the same two.
    A second call changes nothing.
    """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(CPU_DEVICES)]
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        raise pytest.UsageError(
            "TensorFlow ran an operation before the test devices were set up. Move module-level "
            "operations of the test modules into tests or fixtures."
        ) from error
    return tf


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests that need TensorFlow, and puts those that share a fixture in one process.

    Under `--dist loadgroup` the tests of a module, or of a group that they name, share a process,
    so that what a module's fixtures train is trained once.
    """
    for item in items:
        if "tensorflow" in getattr(item, "fixturenames", ()):
            item.add_marker("backend")
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(ROOT).as_posix()))


def pytest_collection_finish(session):
    """Sets the devices up between collection and the first test, if any test will need them."""
    if session.config.option.collectonly:
        return
    wanted = any("tensorflow" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted or "tensorflow" in sys.modules:
        configure_tensorflow()


@pytest.fixture(scope="session")
def tensorflow():
    """The TensorFlow module, with two logical CPU devices."""
    return configure_tensorflow()


@pytest.fixture
def two_devices(tensorflow):
    """The names of the two logical CPU devices, for a `tf.distribute` strategy."""
    return [device.name for device in tensorflow.config.list_logical_devices("CPU")]


@pytest.fixture(scope="session")
def data_dir():
    """The folder of prepared TensorFlow Datasets. Skips, and says why, where there is none."""
    named = os.environ.get("TFPHEN_DATA")
    if not named:
        pytest.skip("no prepared data sets: set TFPHEN_DATA to the folder that holds them")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"no prepared data sets: TFPHEN_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    """A folder that, on the path, brings the phenomenon of tests/toy as a package would."""
    folder = tmp_path_factory.mktemp("toy")
    for file in (ROOT / "tests" / "toy").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    metadata = folder / "toy_width-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-width\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[tfphen.phenomena]\ntoy_width = toy_width:ToyWidth\n"
    )
    return folder


@pytest.fixture
def toy(toy_folder, monkeypatch):
    """The toy phenomenon's class, discovered through its entry point."""
    from tfphen.experiment import phenomenon

    monkeypatch.syspath_prepend(str(toy_folder))
    return phenomenon.get("toy_width")


@pytest.fixture
def toy_runs(toy, tmp_path):
    """Writes records of the toy as if it had been trained. Returns a function.

    Its arguments: size, experiment, overrides, and `only`, which picks trials. Its result: the
    folder to give to --out.
    """
    import numpy as np

    from tfphen.experiment import api, plan, records

    def write(size="smoke", experiment=None, overrides=None, only=lambda trial: True, wide=0.1):
        config = toy.configure(size, experiment, overrides)
        folder = api.folder_of(tmp_path / "runs", toy.id, size, experiment)
        made = []
        for trial in plan.with_parents(toy().trials(config)):
            if not only(trial):
                continue
            generator = np.random.default_rng([trial.seed, len(trial.stream_seeds)])
            error = (0.8 if trial.tags["units"] == 1 else wide) + 0.01 * generator.standard_normal()
            made.append(
                records.Record(
                    trial.id,
                    toy.id,
                    trial.to_json(),
                    {"test_error": error, "steps": config.steps},
                    {"test_wrong": generator.random(20) < error},
                    records.environment({"device": "CPU", "threads": 2, "seed": trial.seed}),
                    seconds=0.5,
                )
            )
        records.write_group(made, folder)
        return tmp_path / "runs"

    return write


@pytest.fixture
def tfphen_command(capsys):
    """Runs the command line in this process. Returns (exit code, standard output, error)."""
    from tfphen.cli import app

    def call(*words):
        with pytest.raises(SystemExit) as left:
            app.main([str(word) for word in words])
        output = capsys.readouterr()
        return left.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def tfphen_process(toy_folder):
    """Runs the command line in a process of its own, with the toy installed."""
    import subprocess

    def call(*words, **settings):
        path = os.pathsep.join([str(ROOT), str(toy_folder)])
        settings = {"capture_output": True, "text": True, "timeout": 120, **settings}
        environment = {**os.environ, "PYTHONPATH": path, **settings.pop("env", {})}
        command = [sys.executable, "-m", "tfphen", *map(str, words)]
        return subprocess.run(command, env=environment, check=False, **settings)

    return call
