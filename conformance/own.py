"""Starts a sandbox of its own as a subprocess on free ports, and ends it. What is asked of it is not known here."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE = 10.0  # seconds to go before it is made to


class StartError(Exception):
    """The sandbox did not start. One line."""


@contextmanager
def own_sandbox() -> Iterator[dict[str, Any]]:
    """Start a sandbox and give its welcome. Raises StartError."""
    options = ["--host", "127.0.0.1", "--port", "0", "--db", ":memory:", "--json"]
    with tempfile.TemporaryDirectory(prefix="leadsandbox-conform-") as folder:
        said = Path(folder, "stderr")
        with (
            said.open("wb") as stderr,
            subprocess.Popen(  # noqa: S603  our own program  # nosec B603
                [sys.executable, "-P", "-m", "simulator", "up", *options],
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=folder,
            ) as child,
        ):
            try:
                line = child.stdout.readline() if child.stdout else b""
                if not line:
                    raise StartError(_last_line(said.read_text("utf-8", "replace")))
                yield json.loads(line)
            finally:
                _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the sandbox said nothing"
