"""Writes the pages that are derived from the code; `--check` only says whether they are up to date."""  # noqa: INP001  a script, not a package

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))  # for whoever loads this file by its path, as the tests do

import cli_page  # noqa: E402  found by the path above
import configuration_page  # noqa: E402  found by the path above
import duties_page  # noqa: E402  found by the path above
import readings_page  # noqa: E402  found by the path above
import triggers_page  # noqa: E402  found by the path above

from simulator.contract.reference import status_codes_page  # noqa: E402  found by the path above
from simulator.platforms import CONTRACTS  # noqa: E402  found by the path above

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page.page,
    "configuration.md": configuration_page.page,
    "duties.md": duties_page.page,
    "readings.md": readings_page.page,
    "triggers.md": triggers_page.page,
    "status-codes.md": lambda: status_codes_page(CONTRACTS),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    check = parser.parse_args(arguments).check
    stale = [name for name, page in PAGES.items() if _text(FOLDER / name) != page()]
    for name in stale:
        sys.stdout.write(f"docs/{name}: {'out of date; run python docs/generate.py' if check else 'written'}\n")
        if not check:
            (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
    return int(check and bool(stale))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
