"""The style sheet, scripts and icon of the pages: files of this package, served as they are."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from flask import Blueprint, Response, request

from simulator.web.control import PREFIX

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOLDER = files(__package__).joinpath("static")
_CACHED = "public, max-age=31536000, immutable"


def add(pages: Blueprint) -> None:
    @pages.get(f"{PREFIX}/ui/static/<version>/<name>")
    def asset(version: str, name: str) -> Response:
        content = _files().get(name)
        if content is None:
            return Response("No such file\n", status=404, content_type="text/plain")
        kind = _KINDS[name[name.rindex(".") :]]
        response = Response(content, content_type=f"{kind}; charset=utf-8")
        # Scripts import each other by relative names, so that all of them share the version in their path.
        response.headers["Cache-Control"] = _CACHED if version == _version() else "no-cache"
        response.set_etag(hashlib.sha256(content).hexdigest()[:16])
        response.make_conditional(request)
        return response


def url(name: str) -> str:
    """Return the address of a file, which changes with any of the files."""
    return f"{PREFIX}/ui/static/{_version()}/{name}"


@cache
def _files() -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in _FOLDER.iterdir() if item.name.endswith(tuple(_KINDS))}


@cache
def _version() -> str:
    digest = hashlib.sha256()
    for name, content in sorted(_files().items()):
        digest.update(name.encode() + content)
    return digest.hexdigest()[:12]
