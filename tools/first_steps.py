"""Takes the first training steps of a paper experiment, on one device and on two replicas.

    python tools/first_steps.py sngp cifar10 --where arm=sngp --steps 5 [--data-dir DIR]

It builds the network of one trial of the experiment, at the experiment's own batch, and prints its
parameters, the loss of each step in both runs, how far they are apart, the seconds a step, and how
many operations and hours the whole experiment is. So a protocol that is too long for this machine
is known to build, to train and not to depend on the number of replicas.
"""

import argparse
import concurrent.futures
import dataclasses
import math
import multiprocessing
import resource
import time
from pathlib import Path

from tfphen.core import keras_internals
from tfphen.core.trial import Spec, Trial
from tfphen.experiment import phenomenon as phenomena

# Forward and backward pass, in forward passes.
_PASSES = 3


def chosen(trials, where: dict[str, str]) -> Trial:
    """Returns the first trial whose tags read as asked, or exits with those that there are."""
    trials = list(trials)
    for trial in trials:
        if all(str(trial.tags.get(name)) == value for name, value in where.items()):
            return trial
    known = sorted({f"{name}={value}" for t in trials for name, value in t.tags.items()})
    raise SystemExit(f"No trial with {where}. There are: {', '.join(known)}")


def shortened(trial: Trial, steps: int, whole: int) -> Trial:
    """Returns a trial of so many steps on so many batches, without measurements.

    Args:
        trial: One of the experiment.
        steps: How many updates to take.
        whole: How many the experiment takes: a warm-up is as long as there, and no rate falls yet.
    """
    data = dataclasses.replace(trial.data, train=steps * trial.batch_size, test=1, further={})
    mixing = trial.mixing
    if mixing.name != "none":
        mixing = Spec(mixing.name, **{**mixing.settings, "parts": 2})
    warming = {
        name: value
        for name, value in trial.schedule.settings.items()
        if name in ("warmup", "warmup_start")
    }
    if "warmup" in warming:
        warming["warmup"] *= whole / steps
    return dataclasses.replace(
        trial,
        data=data,
        epochs=None,
        steps=steps,
        schedule=Spec("constant", **warming),
        curve=(),
        measures=(),
        record_every=1,
        stop_at_loss=None,
        mixing=mixing,
    )


def planned(identifier: str, experiment: str, where: dict[str, str]):
    """Returns the phenomenon, its settings, all trials, and the one asked for."""
    phenomenon = phenomena.get(identifier)()
    config = phenomenon.configure("paper", experiment, {})
    trials = list(phenomenon.trials(config))
    one = chosen(trials, where)
    one = dataclasses.replace(one, data=dataclasses.replace(one.data, further={}))
    return phenomenon, config, trials, one


def first_losses(asked: tuple, steps: int, whole: int, strategy_name: str, data_dir) -> tuple:
    """Takes the steps. Returns losses, seconds, how they ran, and peak memory in GiB.

    Args:
        asked: The arguments of `planned`, since trials do not travel between processes.
        steps: As in `shortened`.
        whole: As in `shortened`.
        strategy_name: `"one"` or `"mirrored"`.
        data_dir: First folder in which tfds sets are looked for.
    """
    from tfphen.experiment.training import train
    from tfphen.train import strategy

    found = strategy.get(strategy_name)
    started = time.perf_counter()
    phenomenon, _, _, one = planned(*asked)
    phenomenon.measures_of = lambda trial: ((), ())
    trial = shortened(one, steps, whole)
    (outcome,) = train(phenomenon, [trial], lambda one: {}, found, data_dir)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.perf_counter() - started
    return outcome.arrays["step_loss"], seconds, outcome.environment["execution"], memory


def operations(model) -> int:
    """Returns the multiplications and additions of a forward pass of one example.

    Counted are dense and convolutional layers, also those that a wrapper holds.
    """
    total = 0
    for called in keras_internals.flattened_layers(model, include_self=False):
        layer = getattr(called, "layer", called)
        kernel = keras_internals.kernel_of(layer)
        if kernel is not None and keras_internals.is_called(called):
            positions = math.prod(called.output.shape[1:-1])
            total += 2 * positions * math.prod(kernel.shape)
    return total


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("id")
    parser.add_argument("experiment")
    parser.add_argument("--where", nargs="*", default=[], metavar="TAG=VALUE")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument(
        "--teraflops", type=float, default=8.0, help="sustained; 8 is half of a V100's float32"
    )
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    asked = options.id, options.experiment, dict(pair.split("=", 1) for pair in options.where)
    phenomenon, config, trials, whole = planned(*asked)

    from tfphen.experiment.resolve import recipe_of
    from tfphen.train.examples import Examples

    examples = Examples([whole], options.data_dir, phenomenon.sources)
    build = recipe_of(phenomenon, [whole]).model
    model = build(examples.input_shape, examples.num_classes)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    forward = operations(model)
    passed = (
        whole.epochs * examples.sizes[0]
        if whole.steps is None
        else (whole.steps * whole.batch_size)
    )
    hours = _PASSES * forward * passed / options.teraflops / 1e12 / 3600
    print(f"batch {whole.batch_size}, {trainable:,} trainable parameters")
    print(f"{forward / 1e9:.2f} GFLOP an example forwards, {passed:.3g} examples a training")
    print(f"{hours:.1f} hours a training at {options.teraflops:g} TFLOP/s")
    print(
        f"{len(trials)} trainings: {hours * len(trials):.0f} hours; config says "
        f"{config.minutes / 60:.0f}",
        flush=True,
    )

    updates, losses = round(passed / whole.batch_size), {}
    for title, name in (("one device", "one"), ("two replicas", "mirrored")):
        # In a process of its own, which gives all its memory back.
        fresh = {"mp_context": multiprocessing.get_context("spawn"), "max_workers": 1}
        with concurrent.futures.ProcessPoolExecutor(**fresh) as process:
            settings = options.steps, updates, name, options.data_dir
            work = process.submit(first_losses, asked, *settings)
            losses[name], seconds, how, memory = work.result()
        print(f"{title}: losses {', '.join(f'{loss:.5f}' for loss in losses[name])}")
        print(f"  {seconds:.0f} s in all, peak memory {memory:.1f} GiB, {how}", flush=True)
    one, two = losses["one"], losses["mirrored"]
    print(f"largest difference, relative: {max(abs(one - two) / abs(one)):.1e}")


if __name__ == "__main__":
    main()
