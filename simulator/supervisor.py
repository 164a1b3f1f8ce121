"""Starts the programs of a sandbox, waits until they answer, starts some of them again, ends all. No Flask."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from simulator.children import Child, say
from simulator.folders import PrivateFolder
from simulator.settings import Settings

START = 120.0  # seconds until both must answer: as many tenants as there may be take half a minute
LONG = 15.0  # seconds after which it is said that they are still starting
TOLD_BY_CODE = frozenset({2, 3})  # exit codes of ours that a child's own stderr explains
_AFTER = "what was acknowledged is in the database: start the sandbox again"


class ChildError(Exception):
    """A program that ended before it answered. `code` is its exit code, `said` what it wrote to stderr."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said


class Supervisor:
    """Owns the child processes and the pipe whose end tells them that their parent is gone."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._held: list[socket.socket] = []  # that a child which is started again goes on with
        self._folder: PrivateFolder | None = None
        self._pipe_read, self._pipe_write = os.pipe()

    def start(self, settings: Settings, public: socket.socket) -> dict[str, Any]:
        """Start all programs; return the simulator's welcome. Raises ChildError, CannotStartError.

        `public` is the listening socket of the sandbox's address, which stays open as long as `wait` takes; where no
        relay has a process of its own, one that keeps the port reserved.
        """
        settings = replace(settings, mock_buyers_url=self.start_mock_buyers("127.0.0.1"))
        needs_relay = not (settings.direct or settings.takes_turns)
        if needs_relay or settings.workers > 1:
            self._folder = PrivateFolder()
            settings = replace(settings, folder=self._folder.path)
        if needs_relay:
            settings = replace(settings, socket_path=f"{settings.folder}/s")
        self.start_simulator(settings)
        if settings.wire:
            self.start_relay(settings, public)
        return self.wait_until_ready(settings)

    def start_relay(self, settings: Settings, public: socket.socket) -> None:
        """Hand the public socket to the relay: what comes while none is ready waits there."""
        arguments = ["simulator.wire", "--upstream", f"unix:{settings.socket_path}", "--grace", str(settings.grace)]
        self._start_beside("relay", arguments, public.fileno(), "requests under way were cut off")

    def start_mock_buyers(self, host: str) -> str:
        """Start the mock buyers on a free port of `host`; return their URL, which takes connections at once."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, 0), family=family, backlog=1024)
        self._held.append(listening)
        self._start_beside("mock buyers", ["mock_buyers"], listening.fileno(), "what they had received is gone")
        port = listening.getsockname()[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start_simulator(self, settings: Settings) -> None:
        """Give the simulator its settings by a pipe: no secret of theirs shows in a list of processes."""
        arguments = ["simulator", "serve-supervised"]
        child = Child("simulator", arguments, [self._pipe_read], stdin=subprocess.PIPE)
        self.children.append(child)
        assert child.process.stdin is not None  # it is a pipe, whose end is the end of this process
        child.process.stdin.write(settings.to_json().encode() + b"\n")
        child.process.stdin.flush()

    def _start_beside(self, name: str, arguments: Sequence[str], fd: int, loses: str) -> None:
        more = ["--fd", str(fd), "--parent-fd", str(self._pipe_read)]
        self.children.append(Child(name, [*arguments, *more], [fd, self._pipe_read], loses=loses))

    def wait_until_ready(self, settings: Settings) -> dict[str, Any]:
        """Return the welcome once this very simulator answers. Raises ChildError when a child ended or is late."""
        from simulator.buyers import BuyerCalls, Call  # noqa: PLC0415  loaded while the children load what they need

        calls = BuyerCalls()
        began, told = time.monotonic(), False
        url = f"{settings.base_url}/__sandbox"
        while (waited := time.monotonic() - began) < START:
            self.raise_if_ended()
            if waited > LONG and not told:
                told = True
                say("leadsandbox: still starting; a store with many tenants takes its time\n")
            if settings.wire and not Path(settings.socket_path).exists():
                time.sleep(0.02)  # asked now, the relay would wait, and nobody would see that the simulator ended
                continue
            [health] = calls.send([Call(f"{url}/health", b"", {}, 1.0, "GET")])
            if health.status == 200 and _all_serve(orjson.loads(health.body), settings):
                headers = {"Authorization": f"Bearer {settings.control_token}"} if settings.control_token else {}
                [welcome] = calls.send([Call(f"{url}/welcome", b"", headers, 5.0, "GET")])
                document: dict[str, Any] = orjson.loads(welcome.body)
                for child in self.children:
                    child.murmur.pass_on()
                return document
            time.sleep(0.02)
        raise ChildError(3, f"leadsandbox: the sandbox did not answer within {START:.0f} seconds")

    def raise_if_ended(self) -> None:
        for child in self.children:
            if child.process.poll() is not None:
                raise _end_of(child)

    def wait(self) -> None:
        """Wait until a child ends, which it does on its own only when something is wrong, and can't be started again.

        Raises ChildError.
        """
        while True:
            for child in self.children:
                if child.process.poll() is not None:
                    how = child.how()
                    if not child.start_again():
                        raise _end_of(child)
                    say(f"leadsandbox: the {child.name} {how}: started again; {child.loses}\n")
            time.sleep(0.2)

    def stop(self, seconds: float) -> bool:
        """End the programs within so many seconds; return whether they had that time.

        A relay goes first, once it has passed on the answers under way, and the receivers of the last webhooks last.
        A second Ctrl-C or SIGTERM ends all at once.
        """
        ends = time.monotonic() + seconds
        self._let_go()
        try:
            for child in reversed(self.children):
                child.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(ends - time.monotonic(), 0))
        except KeyboardInterrupt:
            return False
        else:
            return True
        finally:
            self._kill()

    def _let_go(self) -> None:
        for listening in self._held:
            listening.close()
        self._held.clear()

    def _kill(self) -> None:
        for child in self.children:
            child.process.kill()  # does nothing to one that has ended
            child.process.wait()
        self.children.clear()
        if self._folder is not None:
            self._folder.remove()
            self._folder = None


def _end_of(child: Child) -> ChildError:
    code, said = child.process.returncode, child.murmur.kept()
    known = code in TOLD_BY_CODE and said
    return ChildError(code if known else 3, said or f"leadsandbox: the {child.name} {child.how()}; {_AFTER}")


def _all_serve(health: dict[str, Any], settings: Settings) -> bool:
    """Whether this is the sandbox that was started, with every worker of it: connections go to those that listen."""
    return health.get("boot") == settings.boot and health.get("workers", 0) >= settings.workers


def end_with_stdin() -> None:
    """Send this process a SIGTERM when its standard input ends: whoever started it is gone, however it went."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="stdin watch", daemon=True).start()


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end things as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    meant = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, interrupt) for number in meant}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
