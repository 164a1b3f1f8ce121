"""A wheel built from the tree holds all that the programs need, and starts a sandbox from another folder."""

from __future__ import annotations

import ast
import re
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.running import Client, environment, sandbox
from tests.wheel import ROOT, built, installed, quietly

pytestmark = pytest.mark.long

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# Flask and pydantic document these as part of their own interfaces, and bring the version that fits.
PARTS_OF_OTHERS = ("werkzeug", "pydantic-core")
# The plugin is loaded by pytest and by nothing else.
LOADED_BY = ("pytest",)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def bin_(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    return installed(tmp_path_factory.mktemp("environment"), wheel)


def test_the_wheel_holds_every_file_of_every_package_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {
        str(path)
        for package in PACKAGES
        for path in (found.relative_to(ROOT) for found in (ROOT / package).rglob("*") if found.is_file())
        if not any(part == "__pycache__" or part.startswith(".") for part in path.parts)  # what tools leave behind
    }
    assert packed == there


def test_every_library_that_is_imported_is_a_declared_dependency() -> None:
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in PROJECT["project"]["dependencies"]}
    extras = PROJECT["project"]["optional-dependencies"]
    declared |= {re.split(r"[^\w.-]", line)[0].lower() for extra in ("load",) for line in extras[extra]}
    where = packages_distributions()
    used = {
        distribution.lower().replace("_", "-")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in imported(ast.parse(path.read_text()))
        for distribution in where.get(name, [])[:1]
    }
    assert used - {PROJECT["project"]["name"], *PARTS_OF_OTHERS, *LOADED_BY} <= declared


def imported(tree: ast.Module) -> set[str]:
    """Return the top-level names of what is imported, wherever it is."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "name",
    [
        "simulator/platforms/pingtree/status_codes.toml",
        "simulator/platforms/pingtree/schemas/ping.json",
        "simulator/platforms/leaddistro/status_codes.toml",
        "simulator/platforms/leaddistro/schemas/ingest.json",
        "fixtures/sandboxes/built-in.yaml",
        "fixtures/buyers/personas.yaml",
        "simulator/py.typed",
    ],
)
def test_the_wheel_holds_what_is_read_at_run_time(wheel: Path, name: str) -> None:
    assert zipfile.ZipFile(wheel).getinfo(name).file_size >= (0 if name.endswith("py.typed") else 100)


def test_the_installed_code_is_the_wheels(bin_: Path, tmp_path: Path) -> None:
    where = quietly(bin_ / "python", "-c", "import simulator; print(simulator.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(bin_.parent)


def test_the_installed_command_starts_a_sandbox_from_another_folder_and_it_bids(bin_: Path, tmp_path: Path) -> None:
    command = (str(bin_ / "leadsandbox"),)
    with sandbox("--db", ":memory:", command=command, cwd=tmp_path, env=environment(PYTHONPATH="")) as up:
        client = Client(up.base_url)
        headers = {"Authorization": f"Bearer {up.credentials('lnk_abc123xyz')['ping']}"}
        status, told = client.post("/api/lead/ping/lnk_abc123xyz", {"state": "CA", "zip_code": "90001"}, headers)
        client.close()
    assert (status, told["data"]["leadStatus"]) == (201, "ping_accept")
    assert told["data"]["amount"] == "45.00"
    assert list(tmp_path.iterdir()) == []
