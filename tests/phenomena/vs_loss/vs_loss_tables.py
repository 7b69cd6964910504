"""Synthetic records of vector scaling, and their verdicts."""

import numpy as np

from tfphen.phenomena.vs_loss.phenomenon import VectorScaling
from tfphen.phenomena.vs_loss.trials import ARMS, Config, Groups, Mixture, Path
from tfphen.verdicts.findings import overall

EVERYTHING = Config(
    path=Path(decades=4),
    mixture=Mixture(points=5),
    groups=Groups(exponents=(0.0, 0.5)),
    arms=ARMS,
    options={"train_per_class": 200},
    imbalance="step_imbalance",
    ratio=25.0,
    max_count=200,
    balanced_count=104,
    curve=(17, 51),
    early=51,
    seeds=4,
    seed=0,
)

# Values that show the phenomenon: by part, case, arm, and column.
SENSITIVE, PLAIN = [0.80, 0.9, 0.99, 0.998], [0.90, 0.93, 0.92, 0.91]
TO_PLAIN = {"cosine_to_plain_machine": [0.95, 0.98, 0.99, 0.998]}
TO_PLAIN |= {"cosine_to_sensitive_machine": PLAIN, "cosine_to_cross_entropy": [0.97, 0.99, 1, 1]}
TO_SENSITIVE = {"cosine_to_plain_machine": PLAIN, "cosine_to_sensitive_machine": SENSITIVE}
SHOWN = {
    **{("path", "separable", arm): TO_PLAIN for arm in ARMS[:3]},
    **{("path", "separable", arm): TO_SENSITIVE for arm in ARMS[3:]},
    **{("path", "inseparable", arm): {"cosine_to_cross_entropy": [0.9] * 4} for arm in ARMS},
    ("mixture", "imbalanced", "machine"): {
        "minority_error": [0.30, 0.05, 0.02, 0.01, 0.005],
        "majority_error": [0.01, 0.05, 0.10, 0.20, 0.25],
    },
    ("mixture", "balanced", "machine"): {
        "minority_error": [0.05, 0.04, 0.03, 0.01, 0.005],
        "majority_error": [0.05, 0.10, 0.15, 0.20, 0.25],
    },
    # Groups (0, 0), (0, 1), (1, 0), (1, 1), under equal and other margins.
    ("groups", "spurious", "machine"): {
        "cell_errors": [[0.01, 0.5, 0.4, 0.02], [0.1, 0.3, 0.3, 0.1]]
    },
    ("groups", "independent", "machine"): {"cell_errors": [[0.2] * 4, [0.2] * 4]},
    ("groups", "reversed", "machine"): {
        "cell_errors": [[0.01, 0.5, 0.4, 0.02], [0.01, 0.6, 0.5, 0.01]]
    },
    **{
        ("deep", "imbalanced", arm): {
            "test_balanced_error": error,
            "initial_rare_gradient": gradient,
            "curve_test_class_recall": [[1.0, 0.0], [1.0, early], [1.0, late]],
        }
        for arm, error, gradient, early, late in (
            ("cross_entropy", 0.46, 1.0, 0.0, 0.2),
            ("weights", 0.41, 1.0, 0.4, 0.3),
            ("logit_adjustment", 0.36, 1.4, 0.2, 0.4),
            ("temperatures", 0.35, 0.7, 0.0, 0.4),
            ("vector_scaling", 0.30, 1.0, 0.2, 0.6),
        )
    },
    **{("deep", "balanced", arm): {"test_balanced_error": 0.18} for arm in ARMS},
    ("deep", "reversed", "vector_scaling"): {"test_balanced_error": 0.55},
}


def a_table(config, values):
    """Builds the table of a plan from given values, with some scatter over seeds."""
    import pandas as pd

    rows = []
    for trial in VectorScaling().trials(config):
        tags = dict(trial.tags)
        columns = values[tags["part"], tags["case"], tags["arm"]]
        jitter = 1 + 1e-4 * np.sin(7.0 * tags["seed"] + len(tags["arm"]))
        row = {name: np.asarray(value) * jitter for name, value in columns.items()}
        # Class 1 is the rare one in half of the seeds.
        counts = [200, 8] if tags["seed"] % 2 else [8, 200]
        if "curve_test_class_recall" in row and counts[0] < counts[1]:
            row["curve_test_class_recall"] = row["curve_test_class_recall"][:, ::-1]
        rows.append(tags | {"class_counts": counts, "curve_step": [17, 51, 3400]} | row)
    # Findings must pair by seed, not by row order.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(values, config=EVERYTHING):
    results = list(VectorScaling().findings(a_table(config, values), config))
    return {finding.id: finding.verdict for finding in results}, overall(results)


def changed(part, case, arm, **columns):
    return SHOWN | {(part, case, arm): SHOWN[part, case, arm] | columns}
