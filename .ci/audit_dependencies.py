"""Looks up known vulnerabilities of the installed packages, and says of how many it could not. Needs the network.

Ends with 1 when there is one; not being able to look is said, and is no failure of the project.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS = 180
OWN = "leadsandbox"


def main() -> int:
    packages, why = looked_up()
    unknown = [item for item in packages if "skip_reason" in item]
    known = [item for item in packages if "vulns" in item]
    bad = [(item, one) for item in known for one in item["vulns"]]
    for item, one in bad:
        fixed = ", ".join(one["fix_versions"]) or "no release yet"
        print(f"{item['name']} {item['version']}: {one['id']}, mended in: {fixed}")
    if not known:
        print(f"NOT AUDITED: known vulnerabilities could not be looked up here. {why or _reason(unknown)}")
    elif unknown:
        print(f"{len(known)} packages looked up; NOT AUDITED: {len(unknown)} others. {_reason(unknown)}")
    elif not bad:
        print(f"none of {len(known)} packages has a known vulnerability")
    return 1 if bad else 0


def looked_up() -> tuple[list[dict[str, Any]], str]:
    """Return what pip-audit says of each package, or nothing and why."""
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        "--skip-editable",
        "--format",
        "json",
        "--timeout",
        "10",
    ]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        packages = json.loads(ended.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"pip-audit did not end within {SECONDS} seconds."
    except (KeyError, TypeError, ValueError):
        return [], (ended.stderr.strip().splitlines() or ["pip-audit said nothing."])[-1][:300]
    return [item for item in packages if item["name"] != OWN], ""


def _reason(skipped: list[dict[str, Any]]) -> str:
    return f"For example: {skipped[0]['skip_reason']}" if skipped else ""


if __name__ == "__main__":
    sys.exit(main())
