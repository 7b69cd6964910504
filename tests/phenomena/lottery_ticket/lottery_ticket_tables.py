"""Records of the lottery-ticket grid with synthetic curves, and their verdicts."""

import numpy as np
import pandas as pd

from tfphen.phenomena.lottery_ticket.phenomenon import LotteryTicket
from tfphen.phenomena.lottery_ticket.trials import Config
from tfphen.verdicts import findings

EVERYTHING = Config(seeds=6, seed=0)

# Test accuracy where validation loss is lowest, early validation loss, and the step of the lowest,
# by arm; with these every signature is present.
DENSE, SLOW = (0.970, 0.2, 300), (0.945, 1.6, 500)
PRESENT = {
    "dense": DENSE,
    "dense_reinit": DENSE,
    "ticket": (0.968, 0.3, 200),
    "reinit": SLOW,
    "permuted": SLOW,
    "kept_signs": (0.968, 0.3, 200),
    "redrawn_signs": SLOW,
    "random_mask": (0.930, 2.0, 500),
    "random_mask_reinit": (0.930, 2.0, 500),
}


def a_table(config, values):
    """Records of a grid with synthetic curves, as a table."""
    rows = []
    for trial in LotteryTicket().trials(config):
        tags, steps = trial.tags, np.asarray(trial.curve)
        accuracy, early, lowest = values[tags["arm"]]
        noise = 0.001 * np.sin(7.0 * tags["seed"] + len(tags["arm"]) + tags["draw"])
        losses = 5.0 + abs(steps - lowest)
        losses[steps == config.early_step] = early + noise
        losses[steps == lowest] = 0.01
        errors = np.full(len(steps), 0.5)
        errors[steps == lowest] = 1 - accuracy + noise
        rows.append(
            {
                **tags,
                "curve_step": steps,
                "curve_validation_loss": losses,
                "curve_test_error": errors,
                "test_error": 1.01 - accuracy,
                "density": (1 - config.rate) ** tags["round"],
            }
        )
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(values, config=EVERYTHING):
    found = list(LotteryTicket().findings(a_table(config, values), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)
