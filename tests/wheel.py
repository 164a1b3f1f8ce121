"""Builds the wheel and installs it into an environment of its own. No test lives here.

Nothing is fetched: what the wheel requires, and what else is named, is linked from the environment of the tests, and
nothing beside it. So this project's own editable install, its entry points and other plugins of pytest are not there.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

from tests.running import PATIENCE, environment

ROOT = Path(__file__).parent.parent


def quietly(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, without index and without this repository; return what it printed."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def built(folder: Path) -> Path:
    """Build the wheel into a folder; return its path."""
    quietly(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    [found] = folder.glob("*.whl")
    return found


def installed(folder: Path, wheel: Path, *more: str) -> Path:
    """Make an environment of the wheel, what it requires and `more` distributions; return its folder of programs."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    quietly(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel, cwd=folder)
    site = Path(quietly(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    [own] = distributions(path=[str(site)])
    for found in _closure([*(own.requires or ()), *more]):
        for name in _tops(found):
            if not (site / name).exists():
                (site / name).symlink_to(str(found.locate_file(name)))
    return folder / "bin"


def _closure(lines: Iterable[str]) -> Iterator[Distribution]:
    """Return the distributions that these requirements ask for, with all that those ask for in turn."""
    waiting = [(Requirement(line), frozenset[str]()) for line in lines]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, extras = waiting.pop()
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        key = (wanted.name, frozenset(wanted.extras))
        if key not in seen:
            seen.add(key)
            found = distribution(wanted.name)
            yield found
            waiting += [(Requirement(line), key[1] | {""}) for line in found.requires or ()]


def _tops(found: Distribution) -> set[str]:
    """Return what a distribution has at the top of site-packages, its metadata included; programs are left out."""
    return {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
