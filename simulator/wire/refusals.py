"""Why the relay takes a request for none, as words that it passes to the simulator. How that answers is not here."""

from __future__ import annotations

from enum import StrEnum

HEADER = "X-Sandbox-Refused"
"""The relay tells the simulator by this request header; a client that sends it is refused itself."""


class Refusal(StrEnum):
    """What is wrong with a request before anything of it is read as HTTP means it."""

    NO_HTTP = "no_http"
    TARGET = "target"
    HEADER = "header"
    TOO_MANY_HEADERS = "too_many_headers"
    TOO_LONG = "too_long"
    FRAMING = "framing"
    CHUNKS = "chunks"
    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    UNFINISHED = "unfinished"
    RESERVED = "reserved"


MOST_HEADERS = 100
LONGEST_TARGET = 65_000  # bytes

_SENTENCES = {
    Refusal.NO_HTTP: "This is no HTTP/1.1 request: its first line is no method, address and version",
    Refusal.TARGET: "The address in the first line has a byte that must be percent-encoded, or is no path",
    Refusal.HEADER: "A header is not `name: value`, or has a control character in it",
    Refusal.TOO_MANY_HEADERS: f"There are more than {MOST_HEADERS} headers",
    Refusal.TOO_LONG: "The address or the headers are too long",
    Refusal.FRAMING: "Content-Length and Transfer-Encoding do not say together where the body ends",
    Refusal.CHUNKS: "The chunks of the body are not framed as chunks",
    Refusal.SLOW_HEAD: "The headers did not arrive in time",
    Refusal.SLOW_BODY: "The body did not arrive in time",
    Refusal.UNFINISHED: "The request ended before its end",
    Refusal.RESERVED: f"{HEADER} is a header of the sandbox's own",
}


def sentence(word: str) -> str:
    """Return what to tell the caller about a refusal's word, which need not be one."""
    return _SENTENCES[Refusal(word)] if word in set(Refusal) else "This is no request that can be read"
