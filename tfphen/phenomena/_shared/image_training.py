"""Settings that trainings on images share: random crops, and falls of the learning rate.

Light to import.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec


def crop_and_flip(crop: int | None, options: Mapping[str, Any], **settings: Any) -> Spec:
    """Returns what is done to the images of a batch; black stays black when standardized.

    Args:
        crop: Pixels of black around an image before a random crop; None for images as they are.
        options: Of the data source, `mean` and `deviation` perhaps among them.
        **settings: Further ones of `tfphen.train.augmentation.crop_and_flip`.
    """
    if crop is None:
        return Spec("none")
    mean, deviation = options.get("mean"), options.get("deviation")
    fill: Any = 0.0
    if mean is not None and deviation is not None:
        fill = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return Spec("crop_and_flip", padding=crop, fill=fill, **settings)


def check_falls(drops: Sequence[float], drop_factors: Sequence[float]) -> None:
    """Raises `UsageError` unless there is one factor for each fall of the learning rate."""
    if len(drops) != len(drop_factors):
        raise UsageError(
            "`drops` and `drop_factors` have one entry for each fall of the learning rate. "
            f"Received: drops={drops}, drop_factors={drop_factors}"
        )
