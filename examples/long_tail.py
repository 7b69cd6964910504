"""Learning from a long tail: LDAM with deferred re-weighting and the VS loss in plain Keras.

The training set has 400 examples of one class and ever fewer of the others, 8 of the last; the test
set has 200 of each. A network trained with cross-entropy learns that rare classes are rare and
gives most of their test examples to frequent ones. Two remedies, each a change of the loss and no
change of what is predicted:

* LDAM asks for a larger margin the rarer the class. Its logits are cosines, so the last layer is
  `NormalizedDense`. Class weights are turned on for the last fifth of training, when the learning
  rate has dropped (deferred re-weighting).
* VS scales and shifts the logits of each class by its frequency, in training only.

    python examples/long_tail.py
    python examples/long_tail.py --ratio 10       # a shorter tail
    python examples/long_tail.py --seeds 8 --epochs 60

References:
    K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    NeurIPS 2019, arXiv 1906.07413.
    G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
    Overparameterization", NeurIPS 2021, arXiv 2103.01550.
"""

import argparse

import keras
import numpy as np

from tfphen import data, layers, losses, metrics
from tfphen.verdicts import stats

BATCH_SIZE = 64


def late_epoch(epochs):
    """The last fifth of training has the low learning rate and, with re-weighting, the weights."""
    return round(0.8 * epochs)


def long_tailed_data(seed, ratio):
    """Draws ten Gaussian classes, and keeps fewer training examples of each further class."""
    settings = {"classes": 10, "directions": "gaussian", "generator_seed": seed}
    full = data.load("gaussian_mixture", settings)
    # Which class is rare changes with the seed, so that no class is easy by rank.
    counts = np.random.default_rng(seed).permutation(data.long_tail_counts(400, ratio, 10))
    kept = np.concatenate(
        [np.flatnonzero(full.train_labels == label)[:count] for label, count in enumerate(counts)]
    )
    train = full.train_inputs[kept], full.train_labels[kept]
    return train, (full.test_inputs, full.test_labels), counts


def build(head, dimensions, seed):
    """A small classifier that ends in the given layer, which gives its logits."""
    first, second = np.random.SeedSequence(seed).generate_state(2)
    start = keras.initializers.HeNormal
    return keras.Sequential(
        [
            keras.Input((dimensions,)),
            keras.layers.Dense(128, "relu", kernel_initializer=start(seed=int(first))),
            keras.layers.Dense(64, "relu", kernel_initializer=start(seed=int(second))),
            head,
        ]
    )


def train_and_test(model, loss, train, test, seed, epochs, callbacks=()):
    """Trains with `fit`. Returns the share of right predictions on each class of the test set."""
    steps = -(-len(train[0]) // BATCH_SIZE)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [late_epoch(epochs) * steps], [0.05, 0.005]
    )
    # `fit` shuffles by Keras's global generator: the same order for all losses of one seed.
    keras.utils.set_random_seed(seed)
    # Compiling to XLA takes longer than these few hundred steps.
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, jit_compile=False)
    model.fit(*train, batch_size=BATCH_SIZE, epochs=epochs, verbose=0, callbacks=list(callbacks))
    # The logits as they are: margins, scales and weights belong to training.
    return metrics.class_accuracies(test[1], model(test[0]))


def run_seed(seed, ratio, epochs):
    """Trains the three networks of one seed. Returns {method: accuracy by class}, and counts."""
    train, test, counts = long_tailed_data(seed, ratio)
    dimensions, recalls = train[0].shape[1], {}

    def dense():
        return keras.layers.Dense(10, kernel_initializer=keras.initializers.HeNormal(seed=seed))

    # 1. As if all classes were equally frequent.
    model = build(dense(), dimensions, seed)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    recalls["cross-entropy"] = train_and_test(model, plain, train, test, seed, epochs)

    # 2. LDAM on a cosine head, re-weighted late. The reduction divides each batch by the sum of its
    #    weights, as the paper's code does. The callback sets the weights of the loss.
    model = build(layers.NormalizedDense(10, seed=seed), dimensions, seed)
    ldam = losses.LDAMLoss(counts, max_margin=0.5, reduction="mean_with_sample_weight")
    reweighting = losses.DeferredReweighting(counts, start_epoch=late_epoch(epochs))
    recalls["LDAM-DRW"] = train_and_test(model, ldam, train, test, seed, epochs, [reweighting])

    # 3. VS on the same network as cross-entropy: nothing but the loss changes.
    model = build(dense(), dimensions, seed)
    vs = losses.VSLoss(counts, gamma=0.15, tau=1.0)
    recalls["VS"] = train_and_test(model, vs, train, test, seed, epochs)
    return recalls, counts


def main(arguments=None):
    """Returns {method: balanced accuracies} and the paired differences to cross-entropy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, at least 2")
    parser.add_argument("--epochs", type=int, default=30, help="of each training, at least 3")
    parser.add_argument("--ratio", type=float, default=50.0, help="largest count over smallest")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"an interval needs two seeds. Received: --seeds {options.seeds}")
    if options.epochs < 3:
        parser.error(f"a fifth of 3 epochs is one. Received: --epochs {options.epochs}")
    if not 1 <= options.ratio <= 400:
        parser.error(f"--ratio is from 1 to 400. Received: --ratio {options.ratio}")

    counts = data.long_tail_counts(400, options.ratio, 10).tolist()
    print(f"Training examples of the ten classes: {counts}")
    print("Accuracy on a balanced test set: of all classes, the 5 frequent, the 5 rare\n")
    print("seed  method          all  frequent   rare")
    found = {}
    for seed in range(options.seeds):
        recalls, counts = run_seed(seed, options.ratio, options.epochs)
        by_frequency = np.argsort(-counts, kind="stable")
        for method, recall in recalls.items():
            head, tail = recall[by_frequency[:5]].mean(), recall[by_frequency[5:]].mean()
            found.setdefault(method, []).append((recall.mean(), head, tail))
            print(f"{seed:4d}  {method:13s} {recall.mean():5.3f}  {head:8.3f}  {tail:5.3f}")

    # The same seed means the same data, order and hidden weights, so differences are paired.
    print("\nDifference to cross-entropy, mean and 95 % interval over seeds:")
    differences = {}
    plain = np.array(found["cross-entropy"])
    for method in ("LDAM-DRW", "VS"):
        for column, part in enumerate(("all", "frequent", "rare")):
            gain = stats.paired_difference(np.array(found[method])[:, column], plain[:, column])
            differences[method, part] = gain
            interval = f"{gain.low:+.3f} to {gain.high:+.3f}"
            print(f"{method:9s} {part:9s} {gain.value:+.3f}  ({interval})")
    return {method: [row[0] for row in rows] for method, rows in found.items()}, differences


if __name__ == "__main__":
    main()
