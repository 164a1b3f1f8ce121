"""`/__sandbox/conformance`: the last report of `leadsandbox conform`, given by a file or by a PUT. It is not judged."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Response, request
from pydantic import ValidationError

from simulator.web.control import PREFIX
from simulator.web.problems import ProblemError, as_json
from simulator.wire.intake import MAX_OWN_BODY

MOST_BYTES = 64 * 1024 * 1024


class ReportError(Exception):
    """What was given is no report of `leadsandbox conform` that this version can read."""


class Reports:
    """The newest report: the one that was PUT last, or the file as it is now if that is newer. Safe between threads.

    `shared` is where several workers of one sandbox leave what was PUT to one of them; None for one alone.
    """

    def __init__(self, file: Path | None, shared: Path | None = None) -> None:
        self.file = file
        self._shared = shared
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[int, int]] = {}
        self._report: dict[str, Any] | None = None
        self._wrong: ReportError | None = None

    def put(self, text: bytes) -> dict[str, Any]:
        """Keep a report. Raises ReportError."""
        report = _read(text)
        with self._lock:
            self._report, self._wrong = report, None
            if self._shared is not None:
                beside = self._shared.with_suffix(f".{threading.get_ident()}")
                beside.write_bytes(text)
                beside.replace(self._shared)  # whole, or not at all
        return report

    def last(self) -> dict[str, Any] | None:
        """Return the newest report, None when there is none. Raises ReportError for a file that is none."""
        with self._lock:
            for file in filter(None, (self.file, self._shared)):
                stamp = _stamp(file)
                if stamp is not None and stamp != self._seen.get(file):
                    self._seen[file] = stamp
                    self._look(file)
            if self._wrong is not None:  # until there is another: an older report would pass for it
                raise self._wrong
            return self._report

    def _look(self, file: Path) -> None:
        try:
            self._report, self._wrong = _read(_bytes(file)), None
        except ReportError as error:
            self._wrong = error


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None  # not written yet
    return found.st_mtime_ns, found.st_size


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ReportError(f"{file} cannot be read: {error.strerror}") from None


def _read(text: bytes) -> dict[str, Any]:
    """Return a report in which nothing is missing that a page shows. Raises ReportError."""
    from simulator.web.conformance_report import Report  # noqa: PLC0415  no start should wait for what few ever give

    if len(text) > MOST_BYTES:
        raise ReportError(f"a report is at most {MOST_BYTES} bytes")
    try:
        document = orjson.loads(text)
        orjson.dumps(document)  # which bears less depth
        return Report.model_validate(document).model_dump()
    except orjson.JSONDecodeError as error:
        raise ReportError(f"a report is JSON, as `leadsandbox conform --json FILE` writes it: {error}") from None
    except orjson.JSONEncodeError:
        raise ReportError("a report has no such depth of lists in lists as this document") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise ReportError(f"no report of version 1: {place}: {first['msg']}") from None


def blueprint(reports: Reports) -> Blueprint:
    conformance = Blueprint("conformance", __name__)

    @conformance.get(f"{PREFIX}/conformance")
    def show() -> Response:
        try:
            report = reports.last()
        except ReportError as error:
            raise ProblemError(409, "Conflict", str(error)) from None
        if report is None:
            raise ProblemError(404, "Not found", f"No report yet: PUT the report.json of a run to {PREFIX}/conformance")
        return as_json(report)

    @conformance.put(f"{PREFIX}/conformance")
    def keep() -> Response:
        if (request.content_length or 0) > MAX_OWN_BODY:
            told = f"A report that is sent is at most {MAX_OWN_BODY} bytes; name a larger one by --conformance-report"
            raise ProblemError(413, "Content too large", told)
        try:
            report = reports.put(request.stream.read(MAX_OWN_BODY + 1))
        except ReportError as error:
            raise ProblemError(400, "Bad request", str(error)) from None
        return as_json({"rows": len(report["rows"]), "results": len(report["results"]), "counts": report["counts"]})

    return conformance
