"""Buyers' webhooks of our own, whose answers a test decides. No test lives here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """One request as a receiver got it."""

    headers: Mapping[str, str]
    raw: bytes
    answered: int

    @property
    def event_id(self) -> str:
        return self.headers["x-leaddistro-event-id"]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.headers["x-sandbox-now"])


@dataclass
class Receiver:
    """A buyer's webhook of our own. `answer` decides the status from headers and raw bytes."""

    answer: Callable[[Mapping[str, str], bytes], int] = lambda _headers, _raw: 200
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def events(self) -> list[str]:
        return [each.event_id for each in self.seen]


@contextlib.contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.answer(headers, raw)
            receiver.seen.append(Seen(headers, raw, status))
            with contextlib.suppress(OSError):  # whoever asked may have given up
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # the 5 of the library make the 6th of a batch wait for seconds
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Answering)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
