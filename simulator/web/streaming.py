"""`GET /__sandbox/events`: what happens now, as server-sent events. What happens is told elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, request

from simulator.events import KINDS, Hub, TooManySubscribersError
from simulator.hearing import Hearing
from simulator.tenants import Tenants
from simulator.watching import KIND as FINDING
from simulator.watching import Watch
from simulator.web.control import PREFIX
from simulator.web.problems import ProblemError, only, tenant_of


def blueprint(tenants: Tenants, hub: Hub, hearing: Hearing, watch: Watch) -> Blueprint:
    streaming = Blueprint("streaming", __name__)

    @streaming.get(f"{PREFIX}/events")
    def events() -> Response:
        only("kinds")
        tenant = tenant_of(tenants)
        try:
            subscription = hub.subscribe(tenant.id, _kinds())
        except TooManySubscribersError as error:
            raise ProblemError(503, "Too many event streams", f"{error}; close one and try again") from None
        try:
            hearing.attend(subscription)
            if FINDING in subscription.kinds:
                watch.attend(tenant)
        except BaseException:
            subscription.end()
            raise
        response = Response(subscription.stream(), content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.call_on_close(subscription.end)  # also for a reader that left before the first event
        return response

    return streaming


def _kinds() -> Sequence[str]:
    """Return the kinds of events that are asked for; all of them when nothing is said."""
    named = request.args.get("kinds")
    found = KINDS if named is None else tuple(word.strip() for word in named.split(","))
    if unknown := [word for word in found if word not in KINDS]:
        raise ProblemError(400, "Bad request", f"kinds: {unknown[0][:50]!r} is none; there are {', '.join(KINDS)}")
    return found
