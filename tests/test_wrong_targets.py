"""Commands that ask a sandbox, at an address where something else answers: one line, and the exit code that says so."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.running import environment

COMMANDS = (
    ["audit"],
    ["rehearse", "--", "true"],
    ["send", "ping"],
    ["logs"],
    ["logs", "--follow"],
    ["explain", "req_1_1"],
)
ANSWERS = {
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "another's JSON": b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a": true}',
    "a list": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n[]",
    "a refusal": b"HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"220 smtp.example.com ready\r\n",
}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer every connection so; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    accepted.recv(65536)
                    accepted.sendall(answer)

        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def ended(command: list[str], url: str) -> subprocess.CompletedProcess[str]:
    words = [command[0], "--url", url, *command[1:]]
    return subprocess.run(
        [sys.executable, "-m", "simulator", *words],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_no_sandbox_is_said_in_one_line(command: list[str], kind: str) -> None:
    with answering(ANSWERS[kind]) as url:
        done = ended(command, url)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert url in done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_address_is_said_in_one_line(command: list[str]) -> None:
    done = ended(command, "nonsense")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert "nonsense" in done.stderr
