"""Synthetic records of feature deviation, and their verdicts."""

import numpy as np

from tfphen.phenomena.feature_deviation_cdt.phenomenon import FeatureDeviationCDT
from tfphen.verdicts.findings import overall

SMALL = FeatureDeviationCDT.configure("small", None, {"seeds": 16, "seed": 0})


COUNTS = np.array([200, 139, 97, 68, 47, 33, 23, 16, 11, 8])
RARITY = np.linspace(0.0, 1.0, 10)

# Decrease (of recalls and decision values) or increase (of deviation) from the most frequent class
# to the rarest, by arm. Anything else is constant up to noise.
SHOWN = {
    ("cross_entropy", "test_class_recall"): 0.6,
    ("cdt_0.3", "test_class_recall"): 0.2,
    ("cdt_0.3", "test_class_recall_with_temperatures"): 0.6,
    ("reversed", "test_class_recall"): 0.8,
    ("linear", "train_class_recall"): 0.5,
    ("cross_entropy", "deviation"): 2.0,
    ("cross_entropy", "decision_value_test"): 1.0,
    ("cdt_0.3", "decision_value_test"): 0.5,
    ("reversed", "decision_value_test"): 1.5,
}
EXACT = ("train_class_recall",)


def a_table(config, shown):
    """Builds the table of a plan from given measurements."""
    import pandas as pd

    rows = []
    for trial in FeatureDeviationCDT().trials(config):
        arm, seed = trial.tags["arm"], trial.tags["seed"]
        generator = np.random.default_rng([seed, len(arm)])
        rank = np.random.default_rng(seed).permutation(10)

        def measured(column, sign, level, arm=arm, generator=generator, rank=rank):
            noise = 0.0 if column in EXACT else 0.02 * generator.normal(size=10)
            return level + sign * shown.get((arm, column), 0.0) * RARITY[rank] + noise

        def before_and_after(start, end):
            return np.stack([start, end])

        counts = COUNTS[rank] if arm != "balanced" else np.full(10, 64)
        start = measured("nothing", 1, 1.0)
        deviation = [measured("deviation", 1, 1.0) for _ in range(3)]
        row = {
            **trial.tags,
            "class_counts": counts,
            "train_class_recall": measured("train_class_recall", -1, 1.0),
            "test_class_recall": measured("test_class_recall", -1, 0.9),
            "curve_decision_value_train": before_and_after(start, measured("nothing", 1, 2.0)),
            "curve_decision_value_test": before_and_after(
                measured("nothing", 1, 1.0), measured("decision_value_test", -1, 2.0)
            ),
            f"curve_deviation_over_{config.subset_size}": before_and_after(
                np.stack([generator.normal(size=10) for _ in range(3)]), np.stack(deviation)
            ),
        }
        if arm.startswith("cdt"):
            name = "test_class_recall_with_temperatures"
            row[name] = measured(name, -1, 0.9)
        rows.append(row)
    # Findings must pair by seed, not by row order.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=SMALL):
    results = list(FeatureDeviationCDT().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in results}, overall(results)
