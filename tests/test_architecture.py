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


_SCIPY = "SciPy takes a third of a second, and reading a report needs few of these functions"
_TFDS = "TensorFlow Datasets, only for sets that are read or fetched through it"
_BACKENDS = "one function a backend: only that of the user's is installed"
_PLOTS = "Matplotlib, only where a figure is drawn"
# Modules whose functions import, and why.
ALLOWED_INSIDE = {
    "tfphen": "`tfphen.run` is loaded when it is used: `import tfphen` is light",
    "tfphen.data.digits": "scikit-learn, only where its digits are read",
    "tfphen.data.download": _TFDS,
    "tfphen.data.gasoline": "pandas, only where the panel is read",
    "tfphen.data.image_classification": _TFDS,
    "tfphen.data.image_operations": _SCIPY,
    "tfphen.data.tfds_sets": _TFDS,
    "tfphen.experiment.api": _PLOTS,
    "tfphen.experiment.plots": _PLOTS,
    "tfphen.experiment.records": "pandas, only where a table is made: not in a run that trains",
    "tfphen.layers.replicas": _BACKENDS,
    "tfphen.losses.sparse_labels": _BACKENDS,
    "tfphen.metrics.flatness.hessian_products": _BACKENDS,
    "tfphen.metrics.robustness.out_of_distribution": "scikit-learn takes a second to import",
    "tfphen.phenomena.feature_deviation_cdt.findings": _SCIPY,
    "tfphen.phenomena.vs_loss.statistics": _SCIPY,
    "tfphen.verdicts.comparison": _SCIPY,
    "tfphen.verdicts.stats": _SCIPY,
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


def test_the_list_of_modules_whose_functions_import_is_short():
    """An entry of the list that is not needed any more goes."""
    needed = set()
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            if any(isinstance(x, (ast.Import, ast.ImportFrom)) for x in ast.walk(function)):
                needed.add(name)
    assert needed == set(ALLOWED_INSIDE)
