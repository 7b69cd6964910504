"""Data sources of `shift_invariance`, whose functions are imported when one is called. Light."""


def dots(
    *,
    size: int = 15,
    dimensions: int = 2,
    contrast: float = 1.0,
    background: float = 0.0,
    place: int | None = None,
    zero_mean: bool = False,
):
    """See `dots.dots`."""
    return _load("dots", locals())


def orthogonal_vectors(*, length: int = 4000, per_class: int = 50, generator_seed: int = 0):
    """See `dots.orthogonal_vectors`."""
    return _load("orthogonal_vectors", locals())


def orthogonal_frequencies(*, length: int = 4000, per_class: int = 50, grid: str = "periodic"):
    """See `dots.orthogonal_frequencies`."""
    return _load("orthogonal_frequencies", locals())


def offset_signals(
    *, length: int = 12, per_class: int = 3, gap: float = 1.0, generator_seed: int = 0
):
    """See `dots.offset_signals`."""
    return _load("offset_signals", locals())


def _load(name: str, settings: dict):
    from tfphen.phenomena.shift_invariance import dots as module

    return getattr(module, name)(**settings)


SOURCES = {
    one.__name__: one for one in (dots, orthogonal_vectors, orthogonal_frequencies, offset_signals)
}
