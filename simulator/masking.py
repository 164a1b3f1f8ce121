"""Takes secrets out of what is kept for people to read. What is kept, and for how long, is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import orjson

from simulator.contract.account import Account

HIDDEN = "***"
LEAST = 8  # characters; a shorter credential is only hidden as a whole word, or it would garble ordinary text
LONGEST_HEADER = 1024  # characters that are kept of one value

SECRET_HEADERS = frozenset(
    {
        "api-key",
        "apikey",
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "token",
        "x-access-token",
        "x-api-key",
        "x-auth-token",
        "x-sandbox-control-token",
    }
)
_SCHEMES = frozenset({"apikey", "basic", "bearer", "digest", "token"})
_SECRET_NAMES = re.compile(r"token|secret|passw|api[-_]?key|auth|credential|signature|session", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#]*@")
_BETWEEN = re.compile(rb"([?#&;])")  # parameters, those of a URL in a parameter too
_JWT = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_ENDS = b".-_"
_WORDS_ONLY = bytes(code if code in _WORD else 32 for code in range(256))


def shortened(secret: str) -> str:
    """Return as much of a secret as tells two apart: at most the first and the last 4 of 24 characters or more."""
    if len(secret) >= 24:
        return f"{secret[:4]}{HIDDEN}{secret[-4:]}"
    return f"{secret[:4]}{HIDDEN}" if len(secret) >= 16 else HIDDEN


def header(value: str) -> str:
    """Return the value of a secret header: the scheme, if it is one, and the shortened rest."""
    scheme, space, rest = value.partition(" ")
    return f"{scheme} {shortened(rest)}" if space and scheme.lower() in _SCHEMES else shortened(value)


def headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Return headers (lower-case names) as they may be kept."""
    return {name: header(value) if name in SECRET_HEADERS else value[:LONGEST_HEADER] for name, value in sent.items()}


def query(sent: bytes) -> bytes:
    """Hide the values of parameters that are named like a secret, and whatever looks like a signed token."""
    if not sent:
        return sent
    pairs = (part.partition(b"=") for part in _BETWEEN.split(sent))
    return _JWT.sub(HIDDEN.encode(), b"".join(_parameter(*pair) for pair in pairs))


def url(text: str) -> str:
    """Return a URL without who logs in with it, and without values in it that are named like a secret."""
    place, mark, rest = re.split(r"([?#]|\Z)", text, maxsplit=1)
    return _USER.sub(f"{HIDDEN}@", place + mark + query(rest.encode()).decode())


def _parameter(name: bytes, equals: bytes, value: bytes) -> bytes:
    secret = bool(value) and _SECRET_NAMES.search(unquote(name.decode("latin-1"))) is not None
    return name + equals + (HIDDEN.encode() if secret else value)


class Secrets:
    """The credentials of one tenant, found where they do not belong: in a URL, a body, another header.

    What it costs does not depend on how many there are: the text is cut into words, which are looked up.
    """

    def __init__(self, values: Iterable[str]) -> None:
        encoded = {value.encode() for value in values if value}
        self._words = frozenset(value for value in encoded if _is_word(value))
        self._odd = tuple(value for value in encoded if not _is_word(value))

    def found_in(self, text: bytes, presented: Iterable[bytes] = ()) -> list[str]:
        """Return every spelling of a secret that is in the text; `presented` are credentials of this very request."""
        words = text.translate(_WORDS_ONLY).split()
        words += [word.strip(_ENDS) for word in words if word[-1] in _ENDS or word[0] in _ENDS]  # of a sentence
        found = [] if self._words.isdisjoint(words) else [word for word in set(words) if word in self._words]
        found += [value for value in presented if len(value) >= LEAST and value in text]
        for value in self._odd:
            found += [spelled for spelled in _spellings(value) if spelled in text]
        return [secret.decode("utf-8", "replace") for secret in found]


def _is_word(value: bytes) -> bool:
    return _WORD.issuperset(value)


def _spellings(value: bytes) -> set[bytes]:
    text = value.decode()
    return {value, orjson.dumps(text)[1:-1], quote(text, safe="").encode(), quote_plus(text).encode()}


def hidden(text: str, found: Iterable[str]) -> str:
    """Return the text with these secrets shortened, longest first."""
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, shortened(secret))
    return text


_FROM_OUTSIDE = frozenset(
    {"body", "campaign_id", "detail", "field", "lead_id", "message", "path", "rule", "transaction_id", "why"}
)


def cleaned(value: Any, found: Iterable[str], keys: Iterable[str] = _FROM_OUTSIDE) -> Any:
    """Return a journal document without these secrets.

    Only what may echo a caller is searched, or a key that is called `sold` would take a reason's name away.
    """
    if isinstance(value, list):
        return [cleaned(item, found, keys) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: hidden(item, found)
        if isinstance(item, str) and name in keys
        else cleaned(item, found, item if name == "headers" else keys)
        for name, item in value.items()
    }


def credentials(accounts: Iterable[Account]) -> Iterator[str]:
    """Return all that nobody should read in a journal: credentials, old and new, and webhook secrets."""
    for account in accounts:
        for source in account.sources.values():
            yield from source.credentials.values()
            yield from (old.credential for old in source.retired)
        yield from (buyer.webhook.secret for buyer in account.buyers.values() if buyer.webhook)


def structure(body: bytes) -> str:
    """Return a body with its field names and without its values (the `--mask-bodies` setting)."""
    try:
        return orjson.dumps(_emptied(orjson.loads(body))).decode()
    except orjson.JSONDecodeError:
        return f"({len(body)} bytes, masked)" if body else ""


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _emptied(item) for name, item in value.items()}
    return [_emptied(item) for item in value] if isinstance(value, list) else HIDDEN


def values(body: bytes) -> Iterator[str]:
    """Return the strings in a JSON body that are long enough to name somebody. No order."""
    try:
        pending = [orjson.loads(body)]
    except orjson.JSONDecodeError:
        return
    while pending:
        value = pending.pop()
        pending += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if isinstance(value, str) and len(value) > 3:
            yield value
