"""References by name are loaded late, and what is wrong with one is said."""

import pytest

from tfphen.core import references
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec


def add(first, second, *, times=1):
    return times * (first + second)


def test_a_string_is_loaded_and_anything_else_is_itself():
    assert references.load("tfphen.core.trial:Spec") is Spec
    assert references.load(add) is add
    assert references.load(None) is None


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("tfphen.core.trial", 'A reference is "package.module:name"'),
        (":Spec", 'A reference is "package.module:name"'),
        ("tfphen.core.trial:Spek", "Did you mean 'Spec'"),
        ("tfphen.core.trials:Spec", "There is no module 'tfphen.core.trials'"),
        ("no_such_package.trial:Spec", "There is no module 'no_such_package'"),
    ],
)
def test_a_wrong_reference_is_named(reference, said):
    with pytest.raises(UsageError, match=said) as error:
        references.load(reference)
    assert repr(reference) in str(error.value)


def test_registries_hold_objects_or_references():
    table = {"own": add, "late": "tfphen.core.trial:Spec"}
    assert references.look_up("thing", table, Spec("own")) is add
    assert references.look_up("thing", table, Spec("late")) is Spec
    with pytest.raises(UsageError, match=r"Unknown thing 'lat'.*Did you mean 'late'"):
        references.look_up("thing", table, Spec("lat"))


def test_settings_are_checked_when_they_are_bound():
    bound = references.bind("thing", add, Spec("own", times=3), 2)
    assert bound(1, 2) == references.call("thing", add, Spec("own", times=3), 1, 2) == 9
    with pytest.raises(UsageError, match=r"Wrong settings of thing 'own'.*Allowed: times"):
        references.bind("thing", add, Spec("own", time=3), 2)
