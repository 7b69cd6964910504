"""The panel of gasoline demand: reading, refusing, splitting, and the command line's answers."""

import numpy as np
import pytest

from tfphen.core.errors import MissingData, UsageError
from tfphen.data import available, check, fetch, gasoline, load
from tfphen.data.sources import search_folders


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch, tmp_path):
    monkeypatch.delenv("TFPHEN_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "empty"))


def a_panel(change=lambda lines: lines):
    """Lines of a file with made-up numbers, years in no order."""
    generator = np.random.default_rng(0)
    lines = ["COUNTRY,YEAR,LGASPCAR,LINCOMEP,LRPMG,LCARPCAP"]
    for country in range(18):
        for year in generator.permutation(19):
            numbers = country + 0.01 * year + np.asarray([0.1, 0.2, 0.3, 0.4])
            lines.append(f"C{country:02},{1960 + year}," + ",".join(f"{x:.6f}" for x in numbers))
    return "\n".join(change(lines)) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "gasoline.csv").write_text(a_panel())
    return tmp_path


def test_years_are_put_in_order_and_the_target_comes_last(folder):
    names, values = gasoline.read(folder / "gasoline.csv")
    assert names == tuple(f"C{i:02}" for i in range(18))
    assert values.shape == (18, 19, 4)
    np.testing.assert_allclose(np.diff(values, axis=1), 0.01, atol=1e-9)
    np.testing.assert_allclose(values[3, 2], 3.02 + np.asarray([0.2, 0.3, 0.4, 0.1]))


def test_one_country_is_the_target(folder):
    data = load("gasoline", {"points": 6, "generator_seed": 18 * 4 + 7}, folder)
    assert data.train_inputs.shape == (17 * 19 + 6, 4)
    assert data.test_inputs.shape == (13, 4)
    np.testing.assert_array_equal(np.bincount(data.train_labels), [19] * 17 + [6])
    assert set(data.test_labels) == {17}
    _, values = gasoline.read(folder / "gasoline.csv")
    train = np.concatenate([np.delete(values, 7, 0).reshape(-1, 4), values[7, :6]])
    # Standardized without the test examples: by the known years alone, whichever they are.
    np.testing.assert_allclose(data.train_inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(data.train_inputs.std(0), 1, atol=1e-5)
    years = np.concatenate([data.train_inputs[-6:], data.test_inputs])[:, 0]
    both = np.sort(years.astype("float64"))
    step = (values[7, 1, 0] - values[7, 0, 0]) / train[:, 0].std()
    np.testing.assert_allclose(np.diff(both), step, rtol=0.01)


def test_another_draw_knows_other_years_of_the_same_country(folder):
    first, second = (
        load("gasoline", {"points": 6, "generator_seed": seed}, folder) for seed in (7, 25)
    )
    # Up to the standardization, to which the known years belong.
    np.testing.assert_allclose(first.train_inputs[:323], second.train_inputs[:323], atol=0.01)
    assert abs(first.train_inputs[-6:] - second.train_inputs[-6:]).max() > 0.003
    again = load("gasoline", {"points": 6, "generator_seed": 7}, folder)
    np.testing.assert_array_equal(again.train_inputs, first.train_inputs)


def test_lower_case_and_row_names_are_read(tmp_path):
    def as_r_writes_it(lines):
        return [f'"{i}",{line.lower()}' for i, line in enumerate(lines)]

    (tmp_path / "gasoline.csv").write_text(a_panel(as_r_writes_it))
    assert check("gasoline", tmp_path).kind == "file"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda lines: lines[:-1], "Received: 341 rows, 18 countries"),
        (lambda lines: [*lines[:-1], lines[-1].replace("C17", "C16")], "must hold 18 countries"),
        (lambda lines: [*lines[:-1], lines[-1][:-8] + "none"], "1 entries that are no number"),
        (lambda lines: [lines[0].replace("LRPMG", "PRICE"), *lines[1:]], "no column LRPMG"),
        (lambda lines: [], "cannot be read as a table"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, change, text):
    (tmp_path / "gasoline.csv").write_text(a_panel(change))
    with pytest.raises(MissingData, match=text):
        check("gasoline", tmp_path)


@pytest.mark.parametrize("options", [{"points": 19}, {"points": 1}, {"generator_seed": -1}])
def test_wrong_settings(folder, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        load("gasoline", options, folder)


def test_missing_it_says_where_to_get_it_and_is_never_fetched(tmp_path):
    assert {row.name: row.found for row in available(tmp_path)}["gasoline"] is None
    for function in (check, fetch):
        with pytest.raises(MissingData, match=r"copied by hand.*Baltagi.*DIR/gasoline\.csv"):
            function("gasoline", tmp_path)


def test_the_command_line_lists_and_checks_it(folder, tfphen_command):
    assert {row.name: row.found for row in available(folder)}["gasoline"].endswith("gasoline.csv")
    code, out, _ = tfphen_command("data", "check", "gasoline", "--data-dir", folder)
    assert code == 0 and "gasoline: OK" in out
    code, _, _ = tfphen_command("data", "check", "gasoline", "--data-dir", folder / "none")
    assert code == 1
    _, out, _ = tfphen_command("data", "list", "--data-dir", folder / "none")
    assert "see tfphen data check" in " ".join(out.split())


def test_the_real_panel(monkeypatch):
    monkeypatch.undo()
    paths = [folder / gasoline.FILE for folder in search_folders()]
    here = [path for path in paths if path.is_file()]
    if not here:
        pytest.skip("gasoline.csv is in none of the folders in which data are looked for")
    names, values = gasoline.read(here[0])
    assert names[0].startswith("AUSTRIA")
    np.testing.assert_allclose(
        values[0, 0], [-6.474277179, -0.334547613, -9.766839569, 4.173244195], rtol=1e-9
    )
