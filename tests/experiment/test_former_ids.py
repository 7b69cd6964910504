"""Records and reports from before ids changed are still read."""

import dataclasses
import inspect
import json
from pathlib import Path

import pytest

from tfphen.core.trial import Result, Spec, Trial
from tfphen.experiment import discovery, phenomenon, records

SOLVED = Trial(model=Spec("linear"), solver=Spec("least_squares", ridge=0.1), seed=3)
# From the code in which a solver was named as `optimizer=Spec("least_squares", ridge=0.1)`.
FORMER_ID = "2d26fd0d2473c243"


def record_of(trial, identifier):
    return records.Record(
        identifier,
        "made_up",
        trial.to_json(),
        {"test_error": 0.25},
        {},
        records.environment({"device": "CPU", "threads": 2, "seed": trial.seed}),
        seconds=0.5,
    )


def test_known_hashes_of_solvers_stay():
    assert SOLVED.id == "9ec71e1d9a604057"
    assert SOLVED.former_id == FORMER_ID
    plain = Trial(model=Spec("mlp"), epochs=1)
    assert plain.former_id == plain.id


def test_former_ids_reach_through_inputs():
    child = Trial(model=Spec("mlp"), epochs=1, inputs={"weights": Result(SOLVED, "weights")})
    of_plain = dataclasses.replace(child, inputs={})
    assert child.former_id != child.id
    assert of_plain.former_id == of_plain.id


def test_records_under_former_ids_are_taken_for_the_trial_s(tmp_path):
    records.write(record_of(SOLVED, FORMER_ID), tmp_path)
    other = dataclasses.replace(SOLVED, seed=4)
    found = records.read_trials(tmp_path, [SOLVED, other])
    assert list(found) == [SOLVED.id]
    record = found[SOLVED.id]
    assert (record.trial_id, record.values) == (SOLVED.id, {"test_error": 0.25})
    assert record.trial == SOLVED.to_json()


def test_a_record_under_the_present_id_comes_first(tmp_path):
    records.write(record_of(SOLVED, FORMER_ID), tmp_path)
    newer = dataclasses.replace(record_of(SOLVED, SOLVED.id), values={"test_error": 0.5})
    records.write(newer, tmp_path)
    assert records.read_trials(tmp_path, [SOLVED])[SOLVED.id].values == {"test_error": 0.5}


@pytest.mark.parametrize("identifier", discovery.rooms())
def test_former_ids_of_findings_lead_to_present_ones(identifier):
    kind = phenomenon.get(identifier)
    assert kind.current_finding_id("no/such_finding") == "no/such_finding"
    path = Path(inspect.getfile(kind)).with_name("renamed_findings.json")
    renamed = json.loads(path.read_text(encoding="utf-8"))
    assert renamed
    for former, present in renamed.items():
        arm, slash, statistic = present.partition("/")
        assert slash and arm and statistic and former not in renamed.values()
        assert kind.current_finding_id(former) == present
        assert kind.current_finding_id(present) == present
