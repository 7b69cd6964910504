"""What is installed is what the checkout says: the wheel, the lock, and no registry's address."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tfphen

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Written so that this file does not match itself.
REGISTRY = re.compile(
    r"py[p]i\.(org|python)|python[h]osted|registry\.[n]pmjs"
    r"|://[^\s/]*(/[^\s/]+)*/\+?[s]imple/?(?=[\s\"'`)\]]|$)",
    re.I,
)


def locked() -> list[str]:
    """Returns the requirements of the lock, one string each, hashes included."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def names_of(folder: str) -> set[str]:
    """Returns the TOML files of a folder of the checkout."""
    return {path.name for path in (ROOT / folder).glob("*.toml")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel built from this checkout, with the locked build backend and no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_version_is_said_once():
    assert PROJECT["version"] == tfphen.__version__


def test_wheel_holds_configs_and_published_numbers(wheel):
    files = set(zipfile.ZipFile(wheel).namelist())
    configs, published = names_of("configs"), names_of("benchmarks/published")
    assert configs, "configs/ is empty"
    assert published, "benchmarks/published/ is empty"
    assert {f"tfphen/_configs/{name}" for name in configs} <= files
    assert {f"tfphen/_benchmarks/published/{name}" for name in published} <= files


def test_wheel_holds_the_template_of_a_phenomenon(wheel):
    files = set(zipfile.ZipFile(wheel).namelist())
    template = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "examples" / "minimal_phenomenon").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(template) == 9
    assert {f"tfphen/_{name}" for name in template} <= files


def test_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tfphen").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "tfphen/py.typed" in package
    files = set(zipfile.ZipFile(wheel).namelist())
    metadata = f"tfphen-{PROJECT['version']}.dist-info/"
    copies = (
        "tfphen/_configs/",
        "tfphen/_benchmarks/published/",
        "tfphen/_examples/minimal_phenomenon/",
    )
    assert package == {name for name in files if not name.startswith((metadata, *copies))}


def test_wheel_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        prefix = f"tfphen-{PROJECT['version']}.dist-info"
        entry_points = archive.read(f"{prefix}/entry_points.txt").decode()
        metadata = archive.read(f"{prefix}/METADATA").decode()
        assert f"{prefix}/licenses/LICENSE" in archive.namelist()
    assert "tfphen = tfphen.cli.app:main" in entry_points
    assert "Requires-Python: <3.14,>=3.11" in metadata


def test_wheel_needs_no_checkout(wheel, tmp_path):
    """From an unpacked wheel, in another folder, every phenomenon is listed and shown."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import tfphen.cli.app; "
        "assert tfphen.__file__.startswith(sys.path[0]), tfphen.__file__; tfphen.cli.app.main()"
    )

    def tfphen_says(*arguments):
        command = [sys.executable, "-c", program, str(tmp_path / "site"), *arguments]
        answer = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    ids = {Path(name).stem for name in names_of("configs")}
    listing = tfphen_says("list", "--json")
    assert not {name for name in ids if f'"{name}"' not in listing}
    first = min(ids)
    assert first in tfphen_says("show", first)


def test_every_locked_line_is_pinned_and_hashed():
    lines = locked()
    assert len(lines) > 50
    for line in lines:
        requirement = Requirement(line.split("--hash")[0].strip())
        operators = [specifier.operator for specifier in requirement.specifier]
        assert operators == ["=="], f"not pinned to one version: {requirement}"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), f"no hash: {requirement}"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_lock_holds_what_the_package_asks_for(python, system):
    target = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "os_name": "posix",
        "extra": "",
    }
    pins: dict[str, list[str]] = {}
    for line in locked():
        pin = Requirement(line.split("--hash")[0].strip())
        if pin.marker is None or pin.marker.evaluate(target):
            (specifier,) = pin.specifier
            pins.setdefault(canonicalize_name(pin.name), []).append(specifier.version)
    assert not {name: found for name, found in pins.items() if len(found) > 1}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for requirement in map(Requirement, wanted):
        found = pins.get(canonicalize_name(requirement.name))
        assert found, f"not in requirements.lock: {requirement}; do: make lock"
        assert requirement.specifier.contains(found[0]), f"{requirement} is locked at {found[0]}"
    assert not {"torch", "jax", "tensorflow-io-gcs-filesystem"} & set(pins)


def test_lock_names_no_place():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|\bfile:|\s@\s|^\s*-[if]\b|^\s*--(?!hash)", text, re.M)


def test_no_registry_address_in_the_checkout():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so it is not known which files belong to it")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    checked, found = 0, []
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue  # Removed from the working tree and not yet committed.
        content = path.read_bytes()
        if b"\0" in content:
            continue
        checked += 1
        for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), 1):
            if REGISTRY.search(line):
                found.append(f"{name}:{number}")
    assert checked > 5
    assert not found, f"a registry's address stands in: {', '.join(found)}"
