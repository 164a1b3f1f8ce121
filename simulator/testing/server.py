"""A sandbox to test against: started for this process and ended with it, or one that runs already."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from simulator.testing.calls import Calls, SandboxError
from simulator.testing.tenant import Tenant

START = 60  # seconds until a started sandbox must have answered
END = 20  # seconds that it has to end


class StartError(Exception):
    """The sandbox did not start; the text is what it said, `code` its exit code, None when it only was late."""

    def __init__(self, said: str, code: int | None) -> None:
        super().__init__(said or "leadsandbox: the sandbox did not start")
        self.code = code


class Server:
    """A running sandbox."""

    def __init__(self, base_url: str, control_token: str = "") -> None:
        self._calls = Calls(base_url, control_token)
        self.base_url = self._calls.base_url

    def new_tenant(
        self, sandbox: Mapping[str, Any] | None = None, *, name: str = "", seed: int | None = None
    ) -> Tenant:
        """Make a tenant: of the server's own sandbox file, or of a document as such a file has it.

        Raises SandboxError.
        """
        like = "default" if sandbox is None else None
        welcome = self._calls.call("POST", "tenants", {"name": name, "sandbox": sandbox, "like": like, "seed": seed})
        return Tenant(self._calls, welcome)

    def tenant(self, name: str = "default") -> Tenant:
        """Return a tenant that is there. Raises SandboxError."""
        return Tenant(self._calls, self._calls.call("GET", f"tenants/{name}"))

    def check(self) -> None:
        """Raise SandboxError when nothing answers, or nothing that is a sandbox."""
        try:
            found = self._calls.call("GET", "health")
        except SandboxError as error:
            if error.status == 0:
                raise
            found = None
        if not isinstance(found, dict) or "sandbox_file" not in found:
            raise SandboxError(0, f"what answers at {self.base_url} is no sandbox")


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[Server]:
    """Run `leadsandbox up` on a free port with its state in memory, for as long as the block takes.

    It ends with this process, however that ends. Raises StartError.
    """
    command = [sys.executable, "-m", "simulator", "up", "--port", "0", "--db", ":memory:", "--json"]
    with tempfile.TemporaryFile() as log, _ended(_popen([*command, "--until-stdin-ends", *arguments], log)) as process:
        assert process.stdout is not None  # it is a pipe
        ready, _, _ = select.select([process.stdout], [], [], START)
        line = process.stdout.readline() if ready else b""
        if not line:
            code = _code_of(process) if ready else None
            log.seek(0)
            raise StartError(log.read().decode("utf-8", "replace").strip(), code)
        yield Server(json.loads(line)["base_url"])


def _popen(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  our own program  # nosec B603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environment(), start_new_session=True
    )


def _environment() -> dict[str, str]:
    """Return an environment in which the sandbox finds its own packages first.

    A project under test has a `fixtures` folder of its own, more often than not, and nothing in its environment
    is meant for a sandbox that its tests start.
    """
    found = {name: value for name, value in os.environ.items() if not name.startswith("LEADSANDBOX_")}
    found["PYTHONSAFEPATH"] = "1"
    if "PYTHONPATH" in found:
        home = str(Path(__file__).parents[2])
        found["PYTHONPATH"] = os.pathsep.join([home, found["PYTHONPATH"]])
    return found


def _code_of(process: subprocess.Popen[bytes]) -> int | None:
    """Return the exit code of a process that has closed its output, and so is about to end."""
    try:
        return process.wait(END)
    except subprocess.TimeoutExpired:
        return None


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
