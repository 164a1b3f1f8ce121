"""An event stream tells what all workers do, whichever has it; while nobody listens they tell each other nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from simulator.events import Hub, Interest
from simulator.hearing import reached, tell
from tests.postgres import Postgres
from tests.running import PATIENCE, Request, Running, all_at_once, sandbox, wait_until
from tests.several import control
from tests.test_workers import asked_of_several, journals, workers

STREAMS = 6  # over three workers: whichever have them


class Listener:
    """An open event stream, read all the time. It beats every two seconds, so reading never waits for long."""

    def __init__(self, up: Running, tenant: str, kinds: str) -> None:
        self._connection = HTTPConnection(up.base_url.removeprefix("http://"), timeout=PATIENCE)
        self._connection.request("GET", f"/__sandbox/events?tenant={tenant}&kinds={kinds}")
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.read()
        assert self._response.readline() == b": listening\n"
        self.events: list[dict[str, Any]] = []
        self.beats = 0
        self.ended = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, HTTPException):
            while line := self._response.readline():
                if line.startswith(b"data: "):
                    self.events.append(json.loads(line.removeprefix(b"data: ")))
                self.beats += line == b": still here\n"
        self.ended = True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or the thread would wait for the next beat
        self._thread.join(PATIENCE)
        self._connection.close()


def quiet(*listeners: Listener) -> bool:
    """Wait until each has nothing more to tell, for the moment, or has ended; whether all of them live."""
    before = [each.beats for each in listeners]
    wait_until(
        lambda: all(each.ended or each.beats > beats for each, beats in zip(listeners, before, strict=True)),
        "the streams beat or end",
    )
    return not any(each.ended for each in listeners)


@contextlib.contextmanager
def listening(up: Running, tenant: str, kinds: str) -> Iterator[Listener]:
    listener = Listener(up, tenant, kinds)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture(scope="module")
def up(postgres_server: Postgres) -> Iterator[Running]:
    with sandbox("--db", postgres_server.database(), "--workers", "3") as running:
        yield running


@pytest.fixture
def tenant(up: Running) -> Iterator[dict[str, Any]]:
    made = control(up.base_url, "POST", "tenants", {})
    yield made
    control(up.base_url, "DELETE", f"tenants/{made['tenant']}")


def pings(tenant: dict[str, Any], count: int, **more: Any) -> list[Request]:
    source = tenant["platforms"]["pingtree"]["sources"][0]
    headers = {"Authorization": f"Bearer {source['credentials']['ping']}"}
    return [(f"/api/lead/ping/{source['name']}", {"n": n, **more}, headers) for n in range(count)]


@pytest.mark.long
def test_one_listener_hears_of_every_request_once_whichever_worker_answered_it(
    up: Running, tenant: dict[str, Any]
) -> None:
    name = tenant["tenant"]
    with listening(up, name, "request") as one, listening(up, name, "request") as other:
        listed = asked_of_several(up, name, pings(tenant, 40))
        for listener in (one, other):
            wait_until(lambda: len(listener.events) >= len(listed), "all are heard of")  # noqa: B023  called at once
        assert quiet(one, other)
    for listener in (one, other):
        assert sorted(each["id"] for each in listener.events) == sorted(each["id"] for each in listed)


@pytest.mark.long
def test_every_listener_hears_of_what_one_worker_was_told_to_do(up: Running, tenant: dict[str, Any]) -> None:
    name = tenant["tenant"]
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listening(up, name, "clock,fault")) for _ in range(STREAMS)]
        control(up.base_url, "POST", f"clock?tenant={name}", {"advance": "1 h"})
        control(up.base_url, "POST", f"faults?tenant={name}", {"trigger": "LD-ING-503", "count": 1})
        for each in listeners:
            wait_until(lambda: len(each.events) == 2, "both are heard of")  # noqa: B023  called at once
        assert quiet(*listeners)
    assert {len(each.events) for each in listeners} == {2}


@pytest.mark.long
def test_every_listener_is_told_a_finding_once_whichever_worker_was_asked(up: Running, tenant: dict[str, Any]) -> None:
    name = tenant["tenant"]
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listening(up, name, "finding")) for _ in range(STREAMS)]
        all_at_once(up.base_url, pings(tenant, 1, email="jo@example.com"), 1)
        for each in listeners:
            wait_until(lambda: each.events, "the finding is told")  # noqa: B023  called at once
        all_at_once(up.base_url, pings(tenant, 12, email="jo@example.com"), 6)
        assert quiet(*listeners)
    for each in listeners:
        found = [(item["duty"], item["detail"]) for item in each.events]
        assert "D01" in dict(found)
        assert len(found) == len(set(found))


@pytest.mark.long
def test_a_worker_that_was_started_again_is_heard(postgres_server: Postgres) -> None:
    with sandbox("--db", postgres_server.database(), "--workers", "2") as running, contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening(running, "default", "request"))
        while True:  # until it was not the worker that has the stream
            os.kill(workers(running)[0], signal.SIGKILL)
            if quiet(listener):
                break
            wait_until(lambda: control(running.base_url, "GET", "health")["workers"] == 2, "both are there")
            listener = stack.enter_context(listening(running, "default", "request"))
        wait_until(lambda: control(running.base_url, "GET", "health")["workers"] == 2, "both are there")
        before = len(listener.events)

        def heard() -> bool:
            all_at_once(running.base_url, pings(running.welcome, 40), 20)
            return len(journals(listener.events[before:])) == 2

        wait_until(heard, "both workers are heard")


def test_a_worker_tells_nothing_once_the_listener_of_another_has_gone() -> None:
    hub = Hub()
    here, there = Pipe()
    teller = threading.Thread(target=lambda: _tell(there, hub))
    teller.start()
    assert here.recv().events == ()
    assert (hub.listening, hub.streams) == (1, 0)
    hub.publish("clock", "a", lambda: pytest.fail("asked for an event that was not asked for"))
    hub.publish("request", "a", lambda: {"n": 1})
    wait_until(here.poll, "it is told")
    assert (here.recv().events, hub.wants("request", "b")) == ((b'event: request\ndata: {"n":1}\n\n',), False)
    here.close()
    hub.publish("request", "a", lambda: {"n": 2})
    teller.join(PATIENCE)
    assert hub.listening == 0


def _tell(connection: Any, hub: Hub) -> None:
    with contextlib.suppress(OSError):
        tell(connection, hub, "a", Interest(frozenset({"request"})), rings=False)


def test_evidence_rings_where_its_events_are_not_heard_and_what_was_lost_is_counted() -> None:
    hub = Hub(queue=3)
    place = hub.overheard("a", Interest(frozenset()), rings=True)
    for number in range(9):
        hub.publish("request", "a", lambda: pytest.fail("asked for an event that nobody reads"))
        assert number >= 0
    news = place.news()
    assert news is not None
    assert (news.events, news.evidence) == ((), True)
    slow = hub.overheard("a", Interest(frozenset({"clock"})), rings=False)
    for number in range(10):
        hub.publish("clock", "a", lambda number=number: {"n": number})  # type: ignore[misc]
    stream = hub.subscribe("a", Interest(frozenset({"clock"})))
    lost = slow.news()
    assert lost is not None
    stream.hear(lost)
    told = stream.stream()
    next(told)
    assert next(told).startswith(b'event: dropped\ndata: {"events":7}')


def test_what_another_worker_tells_is_bounded_as_what_happens_here_is() -> None:
    hub = Hub()
    few = Interest(most=4)
    place, stream = hub.overheard("a", few, rings=False), hub.subscribe("a", few)
    for number in range(9):
        hub.publish("request", "a", lambda number=number: {"n": number})  # type: ignore[misc]
    hub.publish("clock", "a", lambda: {"n": "now"})
    heard = place.news()
    assert heard is not None
    assert (len(heard.events), heard.lost) == (3, 7)
    stream.hear(heard)
    told = stream.news()
    assert told is not None
    assert (len(told.events), told.lost) == (4, 16)
    assert [words.partition(b"\n")[0] for words in told.events] == [b"event: clock"] * 2 + [b"event: request"] * 2


def bound(place: Path, pid: int) -> Path:
    """Return the address of a worker's socket that is bound and does not listen."""
    path = place / f"journal-{pid}"
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(path))
    return path


def test_the_socket_of_a_worker_that_is_about_to_listen_stays_and_that_of_a_dead_one_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    starting, left = bound(tmp_path, os.getpid()), bound(tmp_path, dead.pid)
    for path in (starting, left):
        with pytest.raises(ConnectionRefusedError):
            reached(path)
    assert (starting.exists(), left.exists()) == (True, False)


def test_a_worker_that_takes_no_connection_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / f"journal-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as frozen, contextlib.ExitStack() as waiting:
        frozen.bind(str(path))
        frozen.listen(1)
        with contextlib.suppress(OSError):  # what a full backlog brings
            for _ in range(100):
                waiting.enter_context(reached(path))
            pytest.fail("its backlog has a bound")
