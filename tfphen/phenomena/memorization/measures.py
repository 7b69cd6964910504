"""Measures on trained networks: fit by kind of label, critical samples, loss sensitivity."""

import numpy as np

from tfphen.metrics import loss_sensitivity
from tfphen.phenomena.memorization.critical_samples import member_critical_sample_ratios

# Of the search for critical samples, for inputs in [0, 1]: at 0.05 nearly every example of noise
# is critical.
RADIUS = 0.02


def fit(trained, *, flipped: bool) -> np.ndarray:
    """Accuracy on the mislabeled training examples, or on the correctly labeled ones.

    NaN where there are none.
    """
    is_flipped = trained.labels("train") != trained.labels("train", "clean_labels")
    correct = trained.logits("train").argmax(-1) == trained.labels("train")
    return np.ma.array(correct, mask=is_flipped != flipped).mean(1).filled(np.nan)


def critical_sample_ratio(trained) -> np.ndarray:
    """Of validation examples, at the last point of a curve and every third before it."""
    members = trained.members
    if sum(step > trained.step for step in trained.trials[0].curve) % 3:
        return np.full(members.size, np.nan)
    searched = members.model, members.values(), trained.inputs("validation")
    return member_critical_sample_ratios(*searched, RADIUS)


def replayed_loss_sensitivity(trained) -> np.ndarray:
    """Of each training example, at six evenly spaced steps of the training just done."""
    trial, model = trained.trials[0], trained.members.model
    at = [round(trial.steps * part / 6) for part in range(1, 7)]
    rate, weights = trial.optimizer.settings["learning_rate"], trained.initial_weights()
    data = trained.inputs("train"), trained.labels("train")
    return loss_sensitivity(model, *data, rate, trial.steps, at, weights).sensitivity
