"""What every phenomenon's findings must do on tables that are made up.

A room's test module derives a class from `Findings` and gives the builder of its table, the change
that makes each signature absent, and the change that makes each control answer.
"""

from typing import ClassVar

import numpy as np

from tfphen.verdicts import published
from tfphen.verdicts.findings import overall


class Findings:
    """Tests of a phenomenon's findings. Pytest collects the classes that derive from it.

    Attributes:
        kind: The phenomenon's class.
        config: The settings whose trials the table is of.
        FLIPS: {id of a signature: the change of the table that makes it absent}, for each one.
        OVERALL: {id of a signature: the verdict of the whole under its change}; "absent" for those
            not named.
        ANSWERS: {id of a control: the change of the table that makes it present}.
    """

    kind = config = None
    FLIPS: ClassVar = {}
    OVERALL: ClassVar = {}
    ANSWERS: ClassVar = {}

    def __init_subclass__(cls):
        # Several signatures may share a change, whose findings are then made once.
        cls._known = {}

    def table(self, change):
        """Returns the table that shows the phenomenon, but for a change."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc):
        for argument, cases in (("signature", self.FLIPS), ("control", self.ANSWERS)):
            if argument in metafunc.fixturenames:
                assert cases, f"{type(self).__name__} names no case of a {argument}"
                metafunc.parametrize(argument, cases)

    def findings(self, change):
        key = repr(change)
        if key not in self._known:
            self._known[key] = list(self.kind().findings(self.table(change), self.config))
        return self._known[key]

    def verdicts(self, change):
        found = self.findings(change)
        return {finding.id: finding.verdict for finding in found}, overall(found)

    def test_signatures_are_shown_and_controls_are_silent(self):
        found = self.findings({})
        for role, verdict in (("signature", "present"), ("control", "absent")):
            verdicts = {finding.id: finding.verdict for finding in found if finding.role == role}
            assert verdicts
            assert set(verdicts.values()) == {verdict}, verdicts
        assert overall(found) == "present"

    def test_every_signature_has_a_change_that_makes_it_absent(self):
        signatures = {finding.id for finding in self.findings({}) if finding.role == "signature"}
        assert signatures == set(self.FLIPS)

    def test_a_signature_can_come_out_absent(self, signature):
        by_id, whole = self.verdicts(self.FLIPS[signature])
        assert by_id[signature] == "absent"
        assert whole == self.OVERALL.get(signature, "absent")

    def test_a_control_that_answers_makes_the_whole_inconclusive(self, control):
        by_id, whole = self.verdicts(self.ANSWERS[control])
        assert by_id[control] == "present"
        assert whole == "inconclusive"

    def test_published_numbers_find_ours(self):
        table, phenomenon, found = self.table({}), self.kind(), []
        for number in published.load(self.kind.id):
            ours = phenomenon.reproductions(table, self.config, number)
            if ours is not None:
                estimate, baseline = ours
                assert estimate.n >= 1 and np.isfinite(estimate.value), number.id
                assert baseline is None or np.isfinite(baseline.value), number.id
                found.append(number)
        assert found, "no published number has an estimate in the table"
