"""Trials that trained together: their records are all there after a kill, or none is."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from tfphen.core.errors import CorruptRecord, UsageError
from tfphen.experiment import record_format, records
from tfphen.experiment.records import Record


def make(trial_id, seed):
    """A record that differs from the others of its group."""
    return Record(trial_id, "double_descent", {"seed": seed}, {}, {"x": np.arange(seed + 2)})


def resealed(path, change):
    """Applies `change` to the document of a file and gives it a valid checksum again."""
    document = json.loads(path.read_text())
    del document["checksum"]
    change(document)
    path.write_bytes(record_format.to_bytes(document))


class Killed(BaseException):
    """Stands for a kill: nothing catches it, nothing after it runs."""


GROUP = [make(name, seed) for seed, name in enumerate(("aa", "bb", "cc"))]


def test_a_group_leaves_only_its_records(tmp_path):
    paths = records.write_group(GROUP, tmp_path)
    assert [path.name for path in paths] == ["aa.json", "bb.json", "cc.json"]
    assert sorted(tmp_path.iterdir()) == paths
    assert records.recover(tmp_path) == []
    with pytest.raises(UsageError, match="once"):
        records.write_group([GROUP[0], GROUP[0]], tmp_path)


@pytest.mark.parametrize("after", range(4))
def test_a_group_is_all_or_nothing_wherever_it_is_killed(tmp_path, monkeypatch, after):
    # The renames are, in order: the journal, aa, bb, cc. The kill comes before the next one.
    replace, done = os.replace, []

    def replace_until_killed(source, target):
        if len(done) == after:
            raise Killed
        done.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_until_killed)
        with pytest.raises(Killed):
            records.write_group(GROUP, tmp_path)
    recovered = records.recover(tmp_path)
    found = records.read_all(tmp_path)
    assert not list(tmp_path.glob(".*"))
    if after == 0:
        assert recovered == [] and found == {}
    else:
        assert [path.stem for path in recovered] == ["aa", "bb", "cc"]
        assert all(records.same_results(found[record.trial_id], record) for record in GROUP)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert records.recover(tmp_path) == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def _killed_before_the_journal_is_removed(folder, monkeypatch):
    def kill(path):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(record_format, "remove", kill)
        with pytest.raises(Killed):
            records.write_group(GROUP, folder)
    (journal,) = folder.glob(".group-*.journal")
    return journal


def test_recovery_repeats_the_same_bytes_and_may_be_killed_too(tmp_path, monkeypatch):
    journal = _killed_before_the_journal_is_removed(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    time.sleep(1.1)  # `finished` has a resolution of a second.
    (tmp_path / "bb.json").unlink()

    def kill(source, target):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        with pytest.raises(Killed):
            records.recover(tmp_path)
    assert journal.exists()
    records.recover(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("*")} == before


def test_a_damaged_journal_writes_nothing(tmp_path, monkeypatch):
    journal = _killed_before_the_journal_is_removed(tmp_path, monkeypatch)
    for path in tmp_path.glob("*.json"):
        path.unlink()
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-30])
    with pytest.raises(CorruptRecord, match=journal.name):
        records.recover(tmp_path)
    journal.write_bytes(whole)
    # The last of the records is wrong, under a right checksum of the journal.
    resealed(journal, lambda document: document["records"][-1].pop("seconds"))
    with pytest.raises(CorruptRecord, match="fields"):
        records.recover(tmp_path)
    resealed(journal, lambda document: document.update(records=3))
    with pytest.raises(CorruptRecord, match="list"):
        records.recover(tmp_path)
    assert list(records.read_all(tmp_path)) == []


def test_only_old_temporary_files_are_removed(tmp_path):
    old, young = tmp_path / ".a.json.1.tmp", tmp_path / ".b.json.2.tmp"
    for path in (old, young):
        path.write_text("half a rec")
    past = time.time() - records.STALE_SECONDS - 60
    os.utime(old, (past, past))
    assert records.recover(tmp_path) == [] and list(tmp_path.iterdir()) == [young]
    assert records.recover(tmp_path / "nowhere") == []


def test_a_real_kill_leaves_a_whole_file_or_none(tmp_path):
    """A process that writes the same records over and over is killed at arbitrary moments."""
    code = (
        "import sys, numpy as np\n"
        "from tfphen.experiment.records import Record, write_group\n"
        "group = [Record(n, 'p', {}, {}, {'x': np.arange(2e4)}) for n in ('aa', 'bb', 'cc')]\n"
        "print('ready', flush=True)\n"
        "while True: write_group(group, sys.argv[1])\n"
    )
    for delay in (0.01, 0.06, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
        )
        with process:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        records.recover(tmp_path)
        assert len(records.read_all(tmp_path)) in (0, 3)
