"""Programs that some tests drive and a machine may lack. Where `LEADSANDBOX_TESTS_NEED_ALL` is set, as in CI, lacking
one is a failure and no skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

NEED_ALL = "LEADSANDBOX_TESTS_NEED_ALL"
_PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "node": "nodejs",
    "php": "php-cli php-curl",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "wrk": "wrk",
}


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed; else skip the test, or fail it in CI."""
    found = _found(names)
    if found is None:
        missing(f"this test drives {names[0]}, which is not installed (Debian: {_PACKAGES.get(names[0], names[0])})")
    return found


def as_anybody() -> list[str]:
    """Return what stands before a command so that file modes count for it: nothing is unwritable to root."""
    if os.geteuid() != 0:
        return []
    return [program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]


def missing(reason: str) -> NoReturn:
    """Skip a test for want of what CI provides; where everything is provided, fail it."""
    if os.environ.get(NEED_ALL):
        pytest.fail(reason)
    pytest.skip(reason)


def _found(names: tuple[str, ...]) -> str | None:
    for name in names:
        places = [None, *(str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
        for place in places:
            if path := shutil.which(name, path=place):
                return path
    return None
