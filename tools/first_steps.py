"""Takes the first training steps of a paper experiment, on one device and on two replicas.

    python tools/first_steps.py sngp cifar10 --where arm=sngp --steps 5 [--data-dir DIR]

It builds the network of one trial of the experiment, at the experiment's own batch, and prints its
parameters, the loss of each step in both runs, how far they are apart, the seconds a step, and how
many operations and hours the whole experiment is. So a protocol that is too long for this machine
is known to build, to train and not to depend on the number of replicas.
"""

import argparse
import dataclasses
import math
import resource
import time
from pathlib import Path

from tfphen import phenomenon as phenomena
from tfphen.trial import Spec, Trial

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


def shortened(trial: Trial, steps: int) -> Trial:
    """Returns a trial of so many steps on so many batches, without measurements."""
    data = dataclasses.replace(trial.data, train=steps * trial.batch_size, test=1, further={})
    mixing = trial.mixing
    if mixing.name != "none":
        mixing = Spec(mixing.name, **{**mixing.settings, "parts": 2})
    return dataclasses.replace(
        trial,
        data=data,
        epochs=None,
        steps=steps,
        curve=(),
        measures=(),
        record_every=1,
        stop_at_loss=None,
        mixing=mixing,
    )


def operations(model) -> int:
    """Returns the multiplications and additions of a forward pass of one example.

    Counted are dense and convolutional layers, also those that a wrapper holds.
    """
    total = 0
    for called in model._flatten_layers(include_self=False):
        layer = getattr(called, "layer", called)
        kernel = getattr(layer, "_kernel", None)
        if kernel is not None and called._inbound_nodes:
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
    kind = phenomena.get(options.id)
    config = kind.configure("paper", options.experiment, {})
    phenomenon = kind()
    trials = list(phenomenon.trials(config))
    whole = chosen(trials, dict(pair.split("=", 1) for pair in options.where))
    trial = shortened(whole, options.steps)

    from tfphen import models
    from tfphen.train import named, strategy
    from tfphen.train.examples import Examples
    from tfphen.train.trials import train

    # First, since a second device must be there before anything runs.
    replicas = {"two replicas": strategy.get("mirrored"), "one device": strategy.get("one")}
    losses = {}
    for name, found in reversed(replicas.items()):
        started = time.perf_counter()
        (outcome,) = train(phenomenon, [trial], lambda one: {}, found, options.data_dir)
        seconds = time.perf_counter() - started
        losses[name] = outcome.arrays["step_loss"]
        print(f"{name}: losses {', '.join(f'{loss:.5f}' for loss in losses[name])}")
        print(f"  {seconds:.0f} s in all, {outcome.environment['execution']}")
    one, two = losses["one device"], losses["two replicas"]
    print(f"largest difference, relative: {max(abs(one - two) / abs(one)):.1e}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {memory:.1f} GiB")
    whole = dataclasses.replace(whole, data=dataclasses.replace(whole.data, further={}))
    examples = Examples([whole], options.data_dir, phenomenon.sources)
    builder = named.look_up("model", {**models.MODELS, **phenomenon.models}, whole.model)
    shape, classes = examples.input_shape, examples.num_classes
    model = named.call("model", builder, whole.model, shape, classes)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    print(f"batch {trial.batch_size}, {trainable:,} trainable parameters")
    forward = operations(model)
    passed = (
        whole.epochs * examples.sizes[0]
        if whole.steps is None
        else (whole.steps * whole.batch_size)
    )
    hours = _PASSES * forward * passed / options.teraflops / 1e12 / 3600
    print(f"{forward / 1e9:.2f} GFLOP an example forwards, {passed:.3g} examples a training")
    print(f"{hours:.1f} hours a training at {options.teraflops:g} TFLOP/s")
    print(f"{len(trials)} trainings: {hours * len(trials):.0f} hours; config says {config.minutes}")


if __name__ == "__main__":
    main()
