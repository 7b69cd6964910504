"""A loss class is found by its name or by that of its function."""

import pytest

from tfphen import losses
from tfphen.core.errors import UsageError


def test_get_by_either_name():
    assert losses.get("ramp_loss") is losses.get("RampLoss") is losses.RampLoss
    assert losses.get("ldam_loss") is losses.LDAMLoss
    with pytest.raises(UsageError, match="Did you mean 'savage_loss'"):
        losses.get("savage_los")
