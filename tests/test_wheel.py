"""A wheel built from the tree holds all that the programs need, and starts a sandbox from another folder.

Nothing is fetched: the new environment borrows the dependencies, but not this project, from the one of the tests.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.running import PATIENCE, Client, environment, sandbox

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# Flask and pydantic document these as part of their own interfaces, and bring the version that fits.
PARTS_OF_OTHERS = ("werkzeug", "pydantic-core")
# The plugin is loaded by pytest and by nothing else.
LOADED_BY = ("pytest",)


def quietly(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    quietly(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bin_(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    quietly(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel, cwd=folder)
    site = quietly(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # The path of a .pth file is not searched for .pth files itself, so the editable install stays out.
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


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
