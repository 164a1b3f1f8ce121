"""The smoke scenario on two simulators that share one limiter state; `make load-smoke` runs it on one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.two_simulators import two_simulators

pytestmark = pytest.mark.long

TIMEOUT = 180


def _load(report: Path, *options: str) -> dict[str, str]:
    """Run `leadsandbox load`; return verdict by scenario."""
    command = [sys.executable, "-m", "simulator", "load", *options, "--json", str(report)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert report.exists(), ended.stderr
    found = json.loads(report.read_text())["scenarios"]
    return {item["scenario"]: item["verdict"] for item in found}


def test_two_simulators_that_share_their_limits_keep_the_law(tmp_path: Path) -> None:
    with two_simulators() as url:
        assert _load(tmp_path / "report.json", "lookup", "--target", url) == {"lookup": "PASS"}
