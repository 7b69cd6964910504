"""The Python and TOML in the README and docs run as they are printed, and links lead somewhere."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
# Pages of docs/library are run by tests/library.
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
WALKTHROUGH = ROOT / "docs" / "writing_a_phenomenon.md"


def blocks(page, language="python"):
    """The code blocks of a page in a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def block_with(page, word):
    (found,) = [block for block in blocks(page) if word in block]
    return found


def run(block, page):
    names = {"__name__": page.stem}
    exec(compile(block, str(page), "exec"), names)
    return names


def test_uncertainty_grows_with_distance(tensorflow, capsys):
    names = run(block_with(README, "from tfphen.layers"), README)
    near, far = np.ravel(names["variance"])
    assert near < 0.1 < 0.8 < far
    assert names["logits"].shape == (2, 2)
    assert str(names["variance"]) in capsys.readouterr().out


def test_population__readme_example__members_learn(tensorflow, capsys):
    names = run(block_with(README, "Population("), README)
    assert names["logits"].shape == (16, 1000, 2)
    accuracy = (names["logits"].argmax(-1) == names["labels"]).mean(1)
    assert accuracy.min() > 0.95
    alone = names["best"].predict(names["inputs"], verbose=0)
    np.testing.assert_allclose(alone, names["logits"][3], atol=1e-4)
    assert str(names["trainer"].execution) in capsys.readouterr().out


def test_population__own_objective_and_hook__records_both(tensorflow):
    page = ROOT / "docs" / "populations.md"
    names = run("\n".join(blocks(page)), page)
    losses = names["trainer"].losses
    assert losses.shape == (100, 8, 2)
    assert np.isfinite(losses).all()
    assert (losses[..., 1] > 0).all()
    assert losses[-1, 0, 0] < losses[0, 0, 0]


def test_a_loss_in_a_model_of_ones_own(tensorflow):
    page = ROOT / "docs" / "using_the_library.md"
    names = run(block_with(page, "from tfphen.losses"), page)
    model, labels = names["model"], np.zeros(8, int)
    history = model.fit(np.ones((8, 20)), labels, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert {"accuracy", "loss"} <= history.history.keys()


def test_metrics__printed_example__cka_is_one(capsys):
    page = ROOT / "docs" / "using_the_library.md"
    run(block_with(page, "from tfphen.metrics"), page)
    error, similarity = map(float, capsys.readouterr().out.split())
    assert 0 < error < 1
    assert similarity == pytest.approx(1.0, abs=1e-12)


def test_data__printed_example__loads_digits(capsys):
    page = ROOT / "docs" / "data.md"
    (block,) = blocks(page)
    digits = run(block, page)["digits"]
    assert digits.num_classes == 10
    assert str(digits.train_inputs.shape) in capsys.readouterr().out


def test_statistics__printed_example__prints_its_comment(capsys):
    page = ROOT / "docs" / "statistics.md"
    (block,) = blocks(page)
    run(block, page)
    assert capsys.readouterr().out.strip() == block.rpartition("# ")[2].strip()


@pytest.mark.slow
def test_notes__run_from_python__gives_what_is_said(tensorflow, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    page = ROOT / "docs" / "notes.md"
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(page)
    result = run(block, page)["result"]
    assert result.verdict in ("present", "absent", "inconclusive")
    assert {found.role for found in result.findings} == {"signature", "control"}
    assert len(result.table) == len(result.records)
    assert isinstance(result.figure(), Figure)


@pytest.fixture
def shrinking(tmp_path, monkeypatch):
    """The phenomenon of the walkthrough, its files written where their first lines say."""
    for block in (*blocks(WALKTHROUGH), *blocks(WALKTHROUGH, "toml")):
        first = block.partition("\n")[0]
        if first.startswith("# shrinking/"):
            path = tmp_path / first.removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block, encoding="utf-8")
    (tmp_path / "shrinking" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    (point,) = re.findall(r'shrinking = "(.*)"', WALKTHROUGH.read_text(encoding="utf-8"))
    module, _, name = point.partition(":")
    yield getattr(importlib.import_module(module), name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shrinking"]:
        del sys.modules[name]


def test_walkthrough__smoke_run__gives_findings_figure_and_published_numbers(
    tensorflow, shrinking, tmp_path
):
    from matplotlib.figure import Figure

    from tfphen.core import config as configs
    from tfphen.experiment import runner
    from tfphen.experiment.records import table
    from tfphen.verdicts import published

    phenomenon = shrinking()
    assert phenomenon.id == "shrinking"
    assert phenomenon.title == "Wider networks err less"
    for size, tables in configs.read(shrinking.config_path()).tables.items():
        for experiment in configs.experiments({size: tables}) or [None]:
            shrinking.configure(size, experiment)
    config = shrinking.configure("smoke")
    trials = list(phenomenon.trials(config))
    records = runner.run(phenomenon, trials, tmp_path / "runs")
    rows = table([(trial.tags, records[trial.id]) for trial in trials])
    signature, control = phenomenon.findings(rows, config)
    assert (signature.role, control.role) == ("signature", "control")
    assert control.estimate.value < signature.estimate.value
    figure = Figure()
    phenomenon.figure(rows, config, figure)
    assert figure.axes
    numbers = published.load_file(shrinking.published_path())
    assert len(numbers) == 2
    for number in numbers:
        ours, baseline = phenomenon.reproductions(rows, config, number)
        assert ours.n == config.seeds
        assert baseline is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links__of_each_page__lead_to_files_and_headings(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: {target}"
        if heading:
            found = file.read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.*)$", found, re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            anchors = set(re.findall(r'<a id="([^"]+)"', found))
            assert heading in slugs | anchors, f"{page.name}: {target}"


def test_python__of_each_page__is_run_by_a_test():
    covered = {
        "README.md": 2,
        "data.md": 1,
        "notes.md": 1,
        "populations.md": 2,
        "statistics.md": 1,
        "using_the_library.md": 2,
        "writing_a_phenomenon.md": 4,
    }
    found = {page.name: len(blocks(page)) for page in PAGES if blocks(page)}
    assert found == covered
