"""The floors of the package: what may import what. See ARCHITECTURE.md."""

import ast
from functools import cache
from pathlib import Path

import pytest

import tfphen

PACKAGE = Path(tfphen.__file__).parent
# From the ground up; packages of one floor may import each other.
FLOORS = (
    {"core"},
    {"verdicts", "data"},
    {"layers", "losses", "metrics", "models", "optimizers", "density_ratio"},
    {"population"},
    {"solvers", "measures"},
    {"train"},
    {"experiment"},
    {"report"},
    {"phenomena"},
    {"cli"},
)
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
# Importable library: users import it, so one phenomenon may be its only user in the package.
PUBLIC = {"core", "verdicts", "data", *FLOORS[2]}


def name_of(path):
    parts = ("tfphen", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


@cache
def modules():
    return {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(node):
    """The dotted names that an import statement, or a reference "module:name", may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def walk(node, typing_only=False):
    """Yields all nodes but those below `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from walk(child)


@cache
def imports():
    """Which modules of the package each one imports, also inside functions."""
    edges = {}
    for name, path in modules().items():
        edges[name] = set()
        for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in imported(node):
                while target and target not in modules():
                    target = target.rpartition(".")[0]
                if target not in ("", "tfphen", name):
                    edges[name].add(target)
    return edges


def package_of(name):
    return name.split(".")[1] if name.count(".") else ""


def test_every_package_has_a_floor():
    found = {package_of(name) for name in modules()} - {"", "__main__"}
    assert found == set(HEIGHT)


def test_a_floor_imports_only_floors_below():
    upward = [
        f"{name} imports {target}"
        for name, targets in imports().items()
        for target in targets
        if package_of(name) in HEIGHT and HEIGHT[package_of(target)] > HEIGHT[package_of(name)]
    ]
    assert not upward, upward


def test_no_circle_of_modules():
    left = {name: set(targets) for name, targets in imports().items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    assert not left, f"modules in circles, or that import one: {sorted(left)}"


def test_rooms_do_not_import_each_other():
    wrong = [
        f"{name} imports {target}"
        for name, targets in imports().items()
        for target in targets
        if name.startswith("tfphen.phenomena.")
        and target.startswith("tfphen.phenomena.")
        and target.split(".")[2] not in (name.split(".")[2], "_shared")
    ]
    assert not wrong, wrong


def test_nothing_outside_a_room_serves_one_phenomenon_alone():
    users = {name: set() for name in modules()}
    for name, targets in imports().items():
        for target in targets:
            room = name.split(".")[2] if package_of(name) == "phenomena" else ""
            # What a package of several rooms uses serves them all.
            users[target].add(room if room != "_shared" else "")
    alone = [
        f"{name}: {min(found)}"
        for name, found in users.items()
        if package_of(name) in HEIGHT
        and (package_of(name) not in PUBLIC | {"phenomena"} or "._shared." in name)
        and len(found) == 1
        and "" not in found
    ]
    assert not alone, alone


ALLOWED_INSIDE = {
    # Module: why its functions import.
    "tfphen": "`tfphen.run` is looked up late, so that importing the package loads nothing",
    "tfphen.data.digits": "scikit-learn takes a second to load, and only these images need it",
    "tfphen.data.download": "requests and TFDS take seconds to load, and only a fetch needs them",
    "tfphen.data.gasoline": "pandas takes a second to load, and only this panel needs it",
    "tfphen.data.image_classification": "TFDS and TensorFlow load only to read prepared images",
    "tfphen.data.image_operations": "SciPy loads only to blur: a test holds that",
    "tfphen.data.tfds_sets": "TFDS and TensorFlow load only to read a prepared set",
    "tfphen.experiment.api": "Matplotlib loads only for a figure",
    "tfphen.experiment.plots": "Matplotlib and SciPy load only to draw: the report imports this",
    "tfphen.experiment.records": "pandas loads only for a table: a run writes records without it",
    "tfphen.layers.replicas": "TensorFlow is asked for replicas only where it is the backend",
    "tfphen.losses.sparse_labels": "JAX is an optional backend",
    "tfphen.metrics.flatness.hessian_products": "the backend is chosen when it runs",
    "tfphen.report.html": "Jinja and MarkupSafe load only for a page, not for other formats",
    "tfphen.report.terminal": "Rich loads only to print: light verbs import this module",
    "tfphen.solvers.hard_margins": "scikit-learn loads only to solve: rooms import this module",
    "tfphen.verdicts.comparison": "SciPy loads only to compare: light verbs import this module",
    "tfphen.verdicts.stats": "NumPy and SciPy load only to estimate: light verbs import it",
}


@pytest.mark.parametrize("name", sorted(modules()))
def test_functions_do_not_import(name):
    tree = ast.parse(modules()[name].read_text(encoding="utf-8"))
    functions = [
        n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    inside = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert not inside or name in ALLOWED_INSIDE, f"{modules()[name]}: lines {inside}"
    assert inside or name not in ALLOWED_INSIDE, f"{name} imports at the top: drop its reason"
