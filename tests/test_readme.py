"""The README's examples of the importable library run as they are printed."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(word):
    """The README's Python blocks that hold a word."""
    found = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in found if word in block]


def run(block):
    names = {}
    exec(compile(block, str(README), "exec"), names)
    return names


def test_uncertainty_grows_with_distance(tensorflow, capsys):
    (block,) = blocks("from tfphen.layers")
    names = run(block)
    near, far = np.ravel(names["variance"])
    assert near < 0.1 < 0.8 < far
    assert names["logits"].shape == (2, 2)
    assert str(names["variance"]) in capsys.readouterr().out


def test_a_loss_in_a_model_of_ones_own(tensorflow):
    (block,) = blocks("from tfphen.losses")
    names = run(block)
    model, labels = names["model"], np.zeros(8, int)
    history = model.fit(np.ones((8, 20)), labels, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert {"accuracy", "loss"} <= history.history.keys()
