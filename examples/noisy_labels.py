"""Learning from wrong labels: loss correction in plain Keras, on scikit-learn's digits.

Many sevens were labeled as ones, twos as sevens, threes as eights, fives as sixes and sixes as
fives. A network that believes its labels learns the mistakes. A network that is told how often each
class is mistaken for each other one (the transition matrix T) can learn the true classes from the
same labels: only the loss changes. Where nobody knows T, the first network's own doubts give an
estimate of it.

    python examples/noisy_labels.py
    python examples/noisy_labels.py --seeds 10 --epochs 40
    python examples/noisy_labels.py --noise 0.6

Try the last one too. With most labels of five classes wrong, believing them costs a third of all
test digits; the known matrix wins most of them back, and the estimate cannot, because what looks
most like a five to the first network is then a six. Fives and sixes, which are swapped with each
other, are the hard part: from a rate of 0.4 on, some of the corrected networks end with one of the
two classes given up, and an accuracy just below 0.9.

Reference:
    G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
    Approach", CVPR 2017, arXiv 1609.03683.
"""

import argparse

import keras
import numpy as np

from tfphen import data, losses
from tfphen.verdicts import stats


def noisy_copy(labels, matrix, generator):
    """Draws a label from row y of the transition matrix for each example of true class y."""
    return np.array([generator.choice(len(matrix), p=matrix[label]) for label in labels])


def build(seed):
    """An ordinary classifier. It ends in logits; nothing in it knows about noise."""
    words = np.random.SeedSequence(seed).generate_state(5)
    first, second, last, drop_1, drop_2 = (int(word) >> 1 for word in words)  # 31 bits each
    start = keras.initializers.HeNormal
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, "relu", kernel_initializer=start(seed=first)),
            keras.layers.Dropout(0.2, seed=drop_1),
            keras.layers.Dense(128, "relu", kernel_initializer=start(seed=second)),
            keras.layers.Dropout(0.2, seed=drop_2),
            keras.layers.Dense(10, kernel_initializer=start(seed=last)),
        ]
    )


def train(loss, digits, labels, seed, epochs):
    """Trains a new network with `fit`. Returns it, and its accuracy on test data without noise."""
    # `fit` shuffles by Keras's global generator: the same order for all losses of one seed.
    keras.utils.set_random_seed(seed)
    model = build(seed)
    # Compiling to XLA takes longer than these few hundred steps.
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    model.fit(digits.train_inputs, labels, batch_size=64, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(digits.test_inputs, digits.test_labels, verbose=0)
    return model, accuracy


def run_seed(seed, noise, epochs):
    """Trains the three networks of one seed on the same wrong labels."""
    digits = data.load("digits")
    matrix = data.transition_matrix("mnist_flips", noise, num_classes=10)
    labels = noisy_copy(digits.train_labels, matrix, np.random.default_rng(seed))
    accuracies = {}

    # 1. As if the labels were right.
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    believer, accuracies["plain"] = train(plain, digits, labels, seed, epochs)

    # 2. With the noise known: the loss compares each label with what the noise would make of the
    #    prediction. The logits stay those of the true classes, so nothing changes at test time.
    corrected = losses.ForwardCorrectedCrossentropy(matrix)
    _, accuracies["true T"] = train(corrected, digits, labels, seed, epochs)

    # 3. With the noise estimated. Row i of the estimate is what the first network says of the
    #    training example that looks most like class i. The default leaves out the top 3 % as
    #    outliers, which in a set this small would be a third of a class.
    probabilities = keras.ops.softmax(believer(digits.train_inputs))
    estimate = losses.estimate_transition_matrix(probabilities, percentile=99.0)
    corrected = losses.ForwardCorrectedCrossentropy(estimate)
    _, accuracies["estimated T"] = train(corrected, digits, labels, seed, epochs)

    wrong_by = np.abs(estimate - matrix).sum(axis=1).mean()
    return accuracies, wrong_by


def main(arguments=None):
    """Returns the accuracies, {method: one a seed}, and the paired differences to plain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds, at least 2")
    parser.add_argument("--epochs", type=int, default=20, help="of each training")
    parser.add_argument("--noise", type=float, default=0.3, help="share of flipped labels")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error(f"an interval needs two seeds. Received: --seeds {options.seeds}")
    if options.epochs < 1:
        parser.error(f"--epochs is at least 1. Received: --epochs {options.epochs}")
    if not 0 <= options.noise <= 1:
        parser.error(f"--noise is a share from 0 to 1. Received: --noise {options.noise}")

    print(f"{options.noise:.0%} of the labels of classes 2, 3, 5, 6 and 7 are wrong in training.")
    print("Accuracy on test digits with right labels:\n")
    print("seed    plain   true T   estimated T   error of a row of the estimate")
    accuracies = {"plain": [], "true T": [], "estimated T": []}
    for seed in range(options.seeds):
        found, wrong_by = run_seed(seed, options.noise, options.epochs)
        for method, accuracy in found.items():
            accuracies[method].append(accuracy)
        plain, true, estimated = found.values()
        print(f"{seed:4d}  {plain:7.3f}  {true:7.3f}  {estimated:12.3f}   {wrong_by:.2f}")

    # The same seed means the same noise, initial weights and order, so differences are paired.
    print()
    differences = {}
    for method in ("true T", "estimated T"):
        gain = stats.paired_difference(accuracies[method], accuracies["plain"])
        differences[method] = gain
        interval = f"95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
        print(f"{method} - plain: {gain.value:+.3f}, {interval}")
    return accuracies, differences


if __name__ == "__main__":
    main()
