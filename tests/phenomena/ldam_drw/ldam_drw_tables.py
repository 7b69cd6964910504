"""Synthetic records of LDAM-DRW, and their verdicts."""

import numpy as np

from tfphen.phenomena.ldam_drw.phenomenon import LdamDrw
from tfphen.phenomena.ldam_drw.trials import Config
from tfphen.verdicts import findings

COUNTS = np.array([400, 258, 167, 108, 70, 45, 29, 19, 12, 8])
EVERYTHING = Config(balanced_count=112, max_count=400, seeds=4, seed=0)

# Training examples of each published experiment.
TOTALS = {
    "cifar10_lt100": 12406,
    "cifar10_lt10": 20431,
    "cifar10_step100": 25250,
    "cifar10_step10": 27500,
    "cifar100_lt100": 10847,
    "cifar100_lt10": 19573,
    "cifar100_step100": 25250,
    "cifar100_step10": 27500,
}

# Recall of the rare half, recall of the frequent half, and slope of the margins over the ranks.
SHOWN = {
    "ce": (0.40, 0.90, 0.00),
    "ce_cosine": (0.38, 0.90, -0.01),
    "cb_rw": (0.48, 0.88, 0.00),
    "ce_drw": (0.44, 0.89, 0.00),
    "ldam": (0.45, 0.89, 0.03),
    "ldam_drw": (0.46, 0.89, 0.03),
    "ldam_drw_reversed": (0.34, 0.90, -0.03),
    "ce_other": (0.40, 0.90, 0.00),
    "ce_balanced": (0.80, 0.80, 0.00),
    "ldam_drw_balanced": (0.78, 0.78, 0.00),
}


def a_table(config, shown):
    """Builds the table of a plan from given recalls and margins."""
    import pandas as pd

    rows = []
    for trial in LdamDrw().trials(config):
        seed, arm = trial.tags["seed"], trial.tags["arm"]
        rare, frequent, slope = shown[arm]
        noise = 0.004 * np.sin(7.0 * seed + len(arm))
        order = np.random.default_rng(seed).permutation(10)
        recalls = np.repeat([frequent, rare], 5) + noise
        # Not quite in order, so that no correlation is perfect.
        margins = 0.4 + slope * np.arange(10) + 0.01 * np.cos(np.arange(10) + seed)
        per_class = {
            "class_counts": COUNTS,
            "test_class_recall": recalls,
            "train_class_margin": margins,
            "class_margin": np.linspace(0.2, 0.5, 10),
        }
        per_class = {name: values[order] for name, values in per_class.items()}
        error = 1 - recalls.mean()
        curve = np.array([error + 0.1, error - 0.01, error])
        rows.append(
            {
                **trial.tags,
                **per_class,
                "test_balanced_error": error,
                "curve_test_balanced_error": curve,
            }
        )
    # Findings must pair by seed, not by row order.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=EVERYTHING):
    results = list(LdamDrw().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)
