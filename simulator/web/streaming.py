"""`GET /__sandbox/events`: what happens now, as server-sent events. What happens is told elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from simulator.contract.model import Contract
from simulator.events import KINDS, Hub, Interest, TooManySubscribersError
from simulator.hearing import Hearing
from simulator.journal import Filter, Vocabulary
from simulator.tenants import Tenants
from simulator.watching import KIND as FINDING
from simulator.watching import Watch
from simulator.web.control import PREFIX
from simulator.web.observation import chosen, vocabulary
from simulator.web.problems import ProblemError, only, tenant_of, whole_number

_FILTERS = ("platform", "operation", "source", "row", "http", "method")
_OTHERS = ("kinds", "most")


def blueprint(
    tenants: Tenants, hub: Hub, hearing: Hearing, watch: Watch, contracts: Mapping[str, Contract]
) -> Blueprint:
    streaming = Blueprint("streaming", __name__)
    words = vocabulary(contracts)

    @streaming.get(f"{PREFIX}/events")
    def events() -> Response:
        only(*_OTHERS, *_FILTERS)
        tenant = tenant_of(tenants)
        try:
            subscription = hub.subscribe(tenant.id, _interest(words))
        except TooManySubscribersError as error:
            raise ProblemError(503, "Too many event streams", f"{error}; close one and try again") from None
        try:
            hearing.attend(subscription)
            if FINDING in subscription.interest.kinds:
                watch.attend(tenant)
        except BaseException:
            subscription.end()
            raise
        response = Response(subscription.stream(), content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.call_on_close(subscription.end)  # also for a reader that left before the first event
        return response

    return streaming


def _interest(words: Vocabulary) -> Interest:
    wanted = chosen(words, "tenant", *_OTHERS)
    most = whole_number("most", 1) if "most" in request.args else 0
    return Interest(_kinds(), most, None if wanted == Filter() else wanted.matches)


def _kinds() -> frozenset[str]:
    """Return the kinds of events that are asked for; all of them when nothing is said."""
    named = request.args.get("kinds")
    found = KINDS if named is None else tuple(word.strip() for word in named.split(","))
    if unknown := [word for word in found if word not in KINDS]:
        raise ProblemError(400, "Bad request", f"kinds: {unknown[0][:50]!r} is none; there are {', '.join(KINDS)}")
    return frozenset(found)
