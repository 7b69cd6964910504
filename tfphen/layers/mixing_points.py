"""Eligible layers for manifold mixup, found by a walk over a Keras model's graph.

Labels can be mixed together with hidden states only where a single tensor carries all information
about an example to the rest of the model: a residual connection around it would carry the unmixed
example."""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

INPUT = 0


@dataclasses.dataclass(frozen=True)
class MixingPoint:
    """The output of an operation of a model's graph.

    Attributes:
        path: Name of the operation, after those of the models that it is nested in: `"body/conv"`.
        kernels: Number of layers with a kernel that the output depends on.
        refusal: Why it cannot be mixed; empty where it can.
    """

    path: str
    kernels: int
    refusal: str


class _Value:
    """Stands for a tensor in a walk: it knows its parents, and the operations it depends on."""

    def __init__(self, parents: "Sequence[_Value]" = (), operation: Any = None) -> None:
        self.parents = parents
        own = () if operation is None else (operation,)
        self.operations: set[Any] = set(own).union(*(parent.operations for parent in parents))


def graph_of(model: Any) -> Any:
    """Returns the graph of a functional or built sequential model, or None for any other thing."""
    return keras_internals.functional_of(model) if isinstance(model, keras.Model) else None


def _walk(graph: Any) -> tuple[list[_Value], list[tuple[Any, list[_Value]]], list[_Value]]:
    """Returns (inputs, steps, outputs): a step is (operation, its values), parents first."""
    steps: list[tuple[Any, list[_Value]]] = []

    def note(operation: Any) -> Callable[..., list[_Value]]:
        def apply(*args: Any, **kwargs: Any) -> list[_Value]:
            parents = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, _Value)]
            values = [_Value(parents, operation) for _ in keras.tree.flatten(operation.output)]
            steps.append((operation, values))
            return values

        return apply

    inputs = [_Value() for _ in graph.inputs]
    outputs = keras_internals.run_through_graph(graph, inputs, note)
    return inputs, steps, keras.tree.flatten(outputs)


def _passes_by(
    cut: _Value, inputs: list[_Value], steps: list[tuple[Any, list[_Value]]], outputs: list[_Value]
) -> bool:
    """Whether anything of the inputs reaches the outputs other than through `cut`."""
    reached = {id(value) for value in inputs}
    for _, values in steps:
        if any(id(parent) in reached for parent in values[0].parents):
            reached.update(id(value) for value in values if value is not cut)
    return any(id(value) in reached for value in outputs)


def _count_kernels(operation: Any) -> int:
    """Returns the number of layers with a kernel, those of nested graphs one by one."""
    graph = graph_of(operation)
    if graph is not None:
        return sum(_count_kernels(layer) for layer in graph.layers)
    return int(any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ())))


def _refusal(operation: Any, values: list[_Value], calls: int) -> str:
    """Why the output of an operation cannot be mixed wherever it stands; empty where it can."""
    if calls > 1:
        return f"it is called {calls} times"
    if len(values) > 1:
        return f"it has {len(values)} outputs"
    output = keras.tree.flatten(operation.output)[0]
    if not keras.backend.is_float_dtype(output.dtype):
        return f"its output is no float but {output.dtype}"
    if keras_internals.mask_of(output) is not None:
        return "its output carries a mask, and two examples differ in what they mask"
    return ""


def mixing_points(
    graph: Any, prefix: str = "", before: int = 0, refusal: str = "", last: bool = True
) -> list[MixingPoint]:
    """Returns the outputs of a graph's operations, in the order of computation.

    Args:
        graph: As `graph_of` gives it.
        prefix: Path of the graph, with a slash at its end, where it is nested.
        before: Number of layers with a kernel before the graph.
        refusal: Why nothing in the graph can be mixed; empty where it can.
        last: Whether the graph's output is the model's.
    """
    inputs, steps, outputs = _walk(graph)
    calls = collections.Counter(id(operation) for operation, _ in steps)
    found = []
    for operation, values in steps:
        own = refusal or _refusal(operation, values, calls[id(operation)])
        if not own and _passes_by(values[0], inputs, steps, outputs):
            own = "a connection goes around it"
        path = prefix + operation.name
        earlier = before + sum(map(_count_kernels, values[0].operations - {operation}))
        nested = graph_of(operation)
        if nested is not None:
            found += mixing_points(nested, f"{path}/", earlier, own, last and values[0] in outputs)
        if not own and last and values[0] in outputs:
            own = "it is the model's output"
        found.append(MixingPoint(path, earlier + _count_kernels(operation), own))
    return found


def input_refusal(graph: Any) -> str:
    """Why the inputs of a model cannot be mixed; empty where they can."""
    other = [x.dtype for x in graph.inputs if not keras.backend.is_float_dtype(x.dtype)]
    return f"the model's inputs are no floats but {', '.join(other)}" if other else ""


def automatic_points(graph: Any) -> list[str | int]:
    """Returns the input and the outputs near a quarter and a half of the layers with a kernel.

    Of two equally near it is the later one, and of several behind the same layers with a kernel the
    last, so the one after activation and pooling.
    """
    chosen: list[str | int] = [] if input_refusal(graph) else [INPUT]
    layers = sum(map(_count_kernels, graph.layers))
    points = [p for p in mixing_points(graph) if not p.refusal and 0 < p.kernels < layers]
    for share in (0.25, 0.5):
        if points:
            distance = min(abs(p.kernels - share * layers) for p in points)
            near = [p for p in points if abs(p.kernels - share * layers) == distance]
            kernels = max(p.kernels for p in near)
            chosen.append([p.path for p in near if p.kernels == kernels][-1])
    return list(dict.fromkeys(chosen))


def checked_points(graph: Any, layers: Sequence[str | int]) -> list[str | int]:
    """Returns what was asked for, names of input layers as 0, in the order of computation.

    Raises:
        ValueError: An unknown or repeated name, or one whose output cannot be mixed.
    """
    if isinstance(layers, (str, int)) or not len(layers):
        raise ValueError(
            "`layers` is a list of layer names, with 0 for the model's input, or None for an "
            f"automatic choice. Received: layers={layers!r}"
        )
    points = {point.path: point for point in mixing_points(graph)}
    inputs = [keras_internals.operation_of(x).name for x in graph.inputs]
    wanted = [INPUT if name in inputs else name for name in layers]
    for name in wanted:
        if name == INPUT and isinstance(name, int):
            refusal = input_refusal(graph)
        elif name in points:
            refusal = points[name].refusal
        else:
            refusal = "the model's graph has no operation of that name"
        if refusal:
            allowed: list[str | int] = [] if input_refusal(graph) else [INPUT]
            allowed += [point.path for point in points.values() if not point.refusal]
            raise ValueError(
                f"`layers` names places where the whole hidden state goes through one tensor. "
                f"{name!r} is not one: {refusal}. Allowed: {allowed}. "
                f"Received: layers={list(layers)!r}"
            )
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"`layers` must not repeat a place. Received: layers={list(layers)!r}")
    order = [INPUT, *points]
    return sorted(wanted, key=order.index)
