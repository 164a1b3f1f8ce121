"""A webhook receiver of the suite's own, on loopback: keeps the bytes that arrive, and answers as it is told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as it arrived. Header names are lower-case."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """What arrived, in order. `answers` are the next statuses; 200 when there are none left."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    arrived: queue.Queue[Delivery] = field(default_factory=queue.Queue)

    def next(self, patience: float = 10.0) -> Delivery | None:
        """Wait for the next webhook, at most so many seconds."""
        try:
            return self.arrived.get(timeout=patience)
        except queue.Empty:
            return None


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    """Listen on a free port."""
    receiver = Receiver(answers=list(answers))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _taking(receiver))
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/leads"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _taking(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = receiver.answers.pop(0) if receiver.answers else 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.arrived.put(Delivery(headers, body))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
            """Say nothing."""

    return Taking
