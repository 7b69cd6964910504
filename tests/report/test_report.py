"""The three forms of the report say the same, and the page is whole, accessible and its own."""

import itertools
import json
import re
import shlex
from html.parser import HTMLParser

import pytest

from tfphen.experiment import api
from tfphen.report import data, html, markdown

ENTRY = {"id", "size", "version", "verdict", "signatures", "published", "environment"}
FINDING = {
    "id", "role", "statistic", "estimate", "ci_low", "ci_high", "n", "threshold", "verdict",
}  # fmt: skip
PUBLISHED = {
    *("id", "experiment", "dataset", "model", "metric", "value", "spread", "n", "reproduced"),
    *("ci_low", "ci_high", "verdict", "source", "provenance"),
}


@pytest.fixture
def runs(toy_runs):
    """Runs of the toy: smoke, with overrides, and one of its two paper experiments."""
    overrides = {"seeds": 4, "gap": 0.1}
    out = toy_runs(overrides=overrides)
    api.run("toy_width", "smoke", overrides=overrides, out=out)
    toy_runs("paper", "reference", wide=0.41)
    api.run("toy_width", "paper", "reference", out=out)
    return api.read_runs(out)


class Page(HTMLParser):
    """Checks that elements close, and collects them."""

    void = ("meta", "br", "wbr", "link", "img", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style":
            self.text += text

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


# ---- JSON --------------------------------------------------------------------------------------


def test_json_schema(runs, tfphen_command, toy, tmp_path):
    code, out, error = tfphen_command("report", "--out", tmp_path / "runs", "--format", "json")
    assert (code, error) == (0, "")
    entries = json.loads(out)
    assert [(one["size"], one["experiment"]) for one in entries] == [
        ("paper", "reference"),
        ("smoke", None),
    ]
    for one in entries:
        assert set(one) >= ENTRY
        assert one["id"] == "toy_width"
        assert one["verdict"] == "present"
        assert [finding["role"] for finding in one["signatures"]] == ["signature", "control"]
        assert [finding["verdict"] for finding in one["signatures"]] == ["present", "absent"]
        for finding in one["signatures"]:
            assert set(finding) >= FINDING
        for number in one["published"]:
            assert set(number) >= PUBLISHED
        assert one["environment"]["device"] == "CPU"
        assert one["version"] == one["environment"]["tfphen"]
        assert one["seconds"] == pytest.approx(0.5 * one["trials"])


def test_sizes_are_never_mixed(runs):
    paper, smoke = data.entries(runs)
    verdicts = {number["experiment"]: number["verdict"] for number in smoke["published"]}
    assert verdicts == {"elsewhere": "not run"}, "the smoke run is compared with nothing"
    verdicts = {number["id"]: number["verdict"] for number in paper["published"]}
    assert verdicts == {
        # Too few seeds to tell: the interval of the difference is wide.
        "reference/gaussian_mixture/mlp/test_error/units=32": "inconclusive",
        "reference/test_error/units=1": "reproduced",
        "elsewhere/test_error/units=64": "not run",
    }
    alone = data.entry(runs[1], runs[1:])
    assert {number["verdict"] for number in alone["published"]} == {"not run"}
    assert len(alone["published"]) == 3


def test_command_gives_the_same_trials_again(runs, tfphen_command, toy, tmp_path):
    for run in runs:
        words = shlex.split(data.command(run))
        assert words[0] == "tfphen"
        code, _, error = tfphen_command(*words[1:], "--out", tmp_path / "runs")
        assert code == 0
        assert f"all {len(run.records)} trials cached" in error
    assert "--set gap=0.1" in data.command(runs[1])


def test_environment_lists_what_differs(runs):
    (_, smoke) = data.entries(runs)
    assert "seed" not in smoke["environment"]
    record = next(iter(runs[1].records.values()))
    record.environment["threads"] = 1
    assert data.merged_environment(runs[1])["threads"] == [1, 2]


# ---- HTML --------------------------------------------------------------------------------------


def test_page_is_whole_and_its_own(runs, tmp_path, tfphen_command):
    out = tmp_path / "runs"
    code, printed, error = tfphen_command("report", "--out", out)
    assert (code, printed, error) == (0, f"{out / 'report.html'}\n", "")
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"@import|src=|url\((?!#)", text)
    references = [attributes["href"] for attributes in page.all("a")]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {reference.removeprefix("#") for reference in references} <= set(ids)
    used = set(re.findall(r"(?:url\(|xlink:href=\")#([^)\"]+)", text))
    assert used <= set(ids)


def test_page_says_everything(runs, toy):
    page = Page(html.render(runs))
    text = " ".join(page.text.split())
    for part in (
        toy.claim,
        toy.paper,
        "paper, reference",
        "1 of 1",
        "3 (0–2) exploratory",
        "width_helps",
        "expected",
        "1 inconclusive, 1 reproduced",
        "40 ± 3 (n = 5)",
        "Known differences: another mixture",
        "Nobody 2000, Table 1 (read)",
        "tfphen run toy_width --size smoke --seeds 4 --seed 0 --set gap=0.1",
        "Published numbers not run",
        "11 (n unknown)",
    ):
        assert part in text, part


def test_page_is_accessible(runs):
    text = html.render(runs)
    page = Page(text)
    assert dict(page.all("html")[0])["lang"] == "en"
    for attributes in page.all("svg"):
        assert attributes.get("role") == "img"
        assert len(attributes["aria-label"]) > 10
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    # A verdict is a word with a sign; the color only repeats it.
    for word in re.findall(r'<span class="verdict [^"]*">(.*?)</span>\s*([a-z ]+)</span>', text):
        assert word[1].strip()
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_page_escapes_what_phenomena_say(runs, toy, monkeypatch):
    monkeypatch.setattr(toy, "claim", "a < b & <script>alert(1)</script>.")
    text = html.render(runs)
    assert "<script" not in text
    assert "a &lt; b &amp;" in text


def test_page_is_the_same_each_time(runs):
    assert html.render(runs) == html.render(runs)


# ---- Markdown ----------------------------------------------------------------------------------


def test_markdown(runs):
    text = markdown.render(runs)
    assert text.index("## Size: paper") < text.index("## Size: smoke") < text.index("## toy_width")
    assert "| width_helps | signature |" in text
    assert "○ absent (expected)" in text
    assert "| 40 ± 3 (n = 5) |" in text
    assert "| elsewhere | test error, % | units = 64 | 11 (n unknown) |" in text
    for row in re.findall(r"^\|.*\|$", text, re.M):
        assert row.count("|") - row.count("\\|") >= 3


def test_output_file(runs, tfphen_command, tmp_path):
    file = tmp_path / "scores.md"
    words = ("report", "--out", tmp_path / "runs", "--format", "md", "-o", file)
    assert tfphen_command(*words) == (0, f"{file}\n", "")
    assert file.read_text(encoding="utf-8") == markdown.render(runs)


def test_unfinished_run_is_left_out_and_named(runs, tfphen_command, tmp_path):
    out = tmp_path / "runs"
    (out / "toy_width" / "smoke" / f"{next(iter(runs[1].records))}.json").unlink()
    code, printed, error = tfphen_command("report", "--out", out, "--format", "json")
    assert code == 1
    assert [one["size"] for one in json.loads(printed)] == ["paper"]
    assert error.startswith("Left out: 1 of 16 trials of toy_width are not run yet.")
    with pytest.raises(api.Unfinished):
        api.read_runs(out)
