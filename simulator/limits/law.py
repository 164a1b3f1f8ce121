"""The rate law itself, in whole numbers. Where the state is kept, and what time it is, are not known here.

Documented is "R requests/s, burst B for D seconds" (contract.md 2.3). Our reading of it: a bucket of (B - R) * D tokens
that R a second flow into, and besides at most B requests in any sliding second. So a rested source may send B a second
for D seconds and R a second from then on. The state of one key is `WIDTH` + B + 1 integers, its cells.
"""

from __future__ import annotations

from typing import Protocol

from simulator.contract.account import Limit

SECOND = 1_000_000_000  # nanoseconds; also the parts of a token, so that a rate gains whole parts in a nanosecond

# The cells of one key. The head is kept twice, and one cell says which copy counts: a writer that is killed
# half-way leaves the other one as it was. The ring has one place more than a second may hold, for the same reason.
_WHICH = 0
_HEADS = (2, 5)  # each: debt, at, count
_COPIES = (0, 1)
_DAMAGED = "the state of the rate limits is damaged; stop the servers that use it, and remove it"
_MOST = 1 << 62  # of requests that a count may tell
RATE = 1
WIDTH = 8


class Cells(Protocol):
    """Signed 64-bit integers, wherever they are kept."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...


class LimiterUnavailableError(Exception):
    """Nobody can tell whether the request may pass. One line for the log."""


def size(limit: Limit) -> int:
    """Return how many cells the state of a key takes. Cells that are all 0 are a source that has rested."""
    return WIDTH + limit.burst + 1


def decide(limit: Limit, debt: int, elapsed: int, oldest: int) -> tuple[int, int]:
    """Return the wait in nanoseconds (0: let it pass), and the debt after this request.

    `debt` is what was missing from a full bucket, in 1e-9 tokens, `elapsed` nanoseconds ago. `oldest` is how long ago
    the B-th last request passed, in nanoseconds.
    """
    debt = max(0, debt - limit.rate * elapsed)
    missing = debt + SECOND - (limit.burst - limit.rate) * limit.seconds * SECOND
    wait = max(0, -(-missing // limit.rate), SECOND - oldest)
    return wait, debt if wait else debt + SECOND


def ask(cells: Cells, base: int, limit: Limit, now: int) -> int:
    """Decide about one request at `now` (nanoseconds), remember it if it passes, and return its wait.

    The state is `cells[base : base + size(limit)]`. Raises LimiterUnavailableError when nobody can have written it.
    """
    which = cells[base + _WHICH]
    if which not in _COPIES:
        raise LimiterUnavailableError(_DAMAGED)
    head = base + _HEADS[which]
    debt, at, count = cells[head], cells[head + 1], cells[head + 2]
    if at < 0 or not (0 <= debt <= (limit.burst - limit.rate) * limit.seconds * SECOND and 0 <= count < _MOST):
        raise LimiterUnavailableError(_DAMAGED)
    if at > now:  # the machine was started anew since
        debt = at = count = 0
    ring, places = base + WIDTH, limit.burst + 1
    oldest = now - cells[ring + (count + 1) % places] if count >= limit.burst else SECOND
    if oldest < 0:
        raise LimiterUnavailableError(_DAMAGED)
    wait, debt = decide(limit, debt, now - at, oldest)
    if not wait:
        cells[ring + count % places] = now
        head = base + _HEADS[1 - which]
        cells[head], cells[head + 1], cells[head + 2] = debt, now, count + 1
        cells[base + _WHICH] = 1 - which
    return wait


def has_rested(cells: Cells, base: int, now: int) -> bool:
    """Whether forgetting this state changes nothing: the bucket is full and the last second empty."""
    which = cells[base + _WHICH]
    if which not in _COPIES:
        raise LimiterUnavailableError(_DAMAGED)
    head = base + _HEADS[which]
    elapsed = now - cells[head + 1]
    return elapsed < 0 or (elapsed >= SECOND and cells[base + RATE] * elapsed >= cells[head])


def retry_after(wait: int) -> int:
    """Return a wait in nanoseconds as the whole seconds that a 429 names: at least 1."""
    return max(1, -(-wait // SECOND))
