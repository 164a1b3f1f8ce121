"""What the pages can do. Each action is one call of the control API, so its curl is no translation of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.test import EnvironBuilder

from simulator.web.control import PREFIX
from simulator.web.dashboard import notices
from simulator.web.dashboard.door import local
from simulator.web.dashboard.frame import UI, Frame, here, origin, url
from simulator.web.dashboard.notices import PARAMETER, Notice
from simulator.web.dashboard.parts import Parts, named_tenant
from simulator.web.dashboard.telling import TOLD
from simulator.web.problems import ProblemError

_PLACE = re.compile(r"\{(\w+)\}")

Told = Callable[[Mapping[str, Any], Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Action:
    """One call: `{name}` in the path and the `fields` come from the form.

    A field is `text`, `number`, `whole`, `true` (a button), `list`, or `or_null` (empty is null); empty ones are
    left out. `fixed` is always sent. Without `of_tenant` the call names no tenant.
    """

    method: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    of_tenant: bool = True

    def address(self, values: Mapping[str, str]) -> str:
        return _PLACE.sub(lambda place: quote(values.get(place[1], ""), safe=""), self.path)

    def body(self, values: MultiDict[str, str]) -> dict[str, Any]:
        """Return what is sent. Raises ValueError for a field that is no number."""
        return {**self.fixed, **dict(self._read(values))}

    def _read(self, values: MultiDict[str, str]) -> Iterator[tuple[str, Any]]:
        for name, kind in self.fields.items():
            text = values.get(name, "").strip()
            if kind == "or_null" and name in values:
                yield name, text or None
            elif kind == "list" and (chosen := values.getlist(name)):
                yield name, chosen
            elif text and kind != "list":
                yield name, _converted(name, text, kind)


def _converted(name: str, text: str, kind: str) -> Any:
    if kind == "true":
        return True
    if kind == "text":
        return text
    try:
        return int(text) if kind == "whole" else float(text)
    except ValueError:
        raise ValueError(f"{name} must be a {'whole ' if kind == 'whole' else ''}number, not {text[:50]!r}") from None


ACTIONS: Mapping[str, Action] = {
    "regenerate": Action("POST", "/credentials/regenerate", {"platform": "text", "owner": "text", "kind": "text"}),
    "advance": Action("POST", "/clock", {"advance": "text"}),
    "set": Action("POST", "/clock", {"set": "text"}),
    "freeze": Action("POST", "/clock", fixed={"freeze": True}),
    "unfreeze": Action("POST", "/clock", fixed={"unfreeze": True}),
    "follow": Action("POST", "/clock", fixed={"reset": True}),
    "arm": Action(
        "POST",
        "/faults",
        {
            "trigger": "text",
            "platform": "text",
            "operation": "text",
            "source": "text",
            "count": "whole",
            "probability": "number",
            "seed": "whole",
            "ttl_seconds": "number",
        },
    ),
    "disarm": Action("DELETE", "/faults/{id}"),
    "disarm-all": Action("DELETE", "/faults"),
    "create-tenant": Action("POST", "/tenants", {"name": "text", "seed": "whole"}, of_tenant=False),
    "delete-tenant": Action("DELETE", "/tenants/{name}", of_tenant=False),
    "reset": Action("POST", "/reset", {"scopes": "list"}),
    "snapshot": Action("POST", "/snapshots", {"name": "text"}),
    "restore": Action("POST", "/snapshots/{name}/restore"),
    "forget-snapshot": Action("DELETE", "/snapshots/{name}"),
    "switch": Action("PATCH", "/buyers/{platform}/{buyer}", {"mode": "or_null"}),
    "replay": Action("POST", "/deliveries/{id}/replay"),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """An action as a template needs it: where its form goes, what it hides, and the curl that does the same."""

    name: str
    url: str
    hidden: Mapping[str, str]
    back: str
    curl: str
    address: str
    method: str
    header: str
    fixed: str


def offering(frame: Frame) -> Callable[..., Offered]:
    """Return the function by which templates name an action; its arguments are hidden fields of the form."""

    def act(name: str, /, **hidden: str) -> Offered:
        action = ACTIONS[name]
        values = MultiDict({key: str(value) for key, value in hidden.items()})
        path = action.address(values)
        body = action.body(values)
        tenant = f"?tenant={quote(named_tenant(), safe='')}" if action.of_tenant and named_tenant() else ""
        return Offered(
            name=name,
            url=url(f"{UI}/do/{name}"),
            hidden=dict(values.items()),
            back=here(),
            curl=frame.curl(action.method, path, body, tenant=action.of_tenant),
            address=f"{origin()}{PREFIX}{path}{tenant}",
            method=action.method,
            header="Authorization: Bearer $LEADSANDBOX_CONTROL_TOKEN" if frame.parts.token else "",
            fixed=orjson.dumps(body).decode(),
        )

    return act


def add(pages: Blueprint, parts: Parts, _frame: Frame) -> None:
    @pages.post(f"{UI}/do/<name>")
    def do(name: str) -> Response:
        action = ACTIONS.get(name)
        if action is None:
            raise ProblemError(404, "No such action", f"The pages can do nothing called {name[:60]!r}")
        typed = request.form
        told = {key: value for key, value in typed.items() if key != "back"}
        try:
            status, answer = _call(action, typed, parts)
            good = status < 400
            text = TOLD[name](answer, told) if good else _refusal(answer)
        except ValueError as error:
            good, text = False, f"Nothing was done: {error}"
        notice = Notice(good, text, "" if good else name, {} if good else told)
        place = _back(typed.get("back", ""), notice.name, name, told, good=good)
        response = Response(status=303, headers={"Location": place})
        notices.give(response, notice)
        return response


def _refusal(answer: Mapping[str, Any]) -> str:
    return f"Nothing was done: {answer.get('detail', 'the sandbox did not say why')}"


def _call(action: Action, typed: MultiDict[str, str], sandbox: Parts) -> tuple[int, Mapping[str, Any]]:
    """Call the control API as any program would, without leaving the process; return status and answer.

    Raises ValueError for what nobody can have meant. To choose nothing is one: to the control API it means everything.
    """
    if empty := [name for name, kind in action.fields.items() if kind == "list" and not typed.getlist(name)]:
        raise ValueError(f"choose at least one of the {empty[0]}")
    try:
        data = orjson.dumps(body) if (body := action.body(typed)) else b""
    except TypeError as error:
        raise ValueError("a number is too large") from error
    headers = [("Authorization", f"Bearer {sandbox.token}")] if sandbox.token else []
    builder = EnvironBuilder(
        f"{PREFIX}{action.address(typed)}",
        method=action.method,
        query_string={"tenant": named_tenant()} if action.of_tenant and named_tenant() else None,
        data=data,
        content_type="application/json",
        headers=headers,
    )
    try:
        environ = builder.get_environ()
    finally:
        builder.close()
    answered = Response.from_app(sandbox.api, environ, buffered=True)
    return answered.status_code, orjson.loads(answered.get_data() or b"{}")


def _back(asked: str, notice: str, name: str, told: Mapping[str, str], *, good: bool) -> str:
    """Return the page that the form was on, with what became of it."""
    parts = urlsplit(local(asked))
    query = parts.query
    if good and name == "create-tenant" and told.get("name"):
        query = urlencode({"tenant": told["name"]})  # go and see it
    if good and name == "delete-tenant" and told.get("name") == named_tenant():
        query = ""
    place = f"#{parts.fragment}" if parts.fragment else ""
    return f"{parts.path}?{query}{'&' if query else ''}{PARAMETER}={notice}{place}"
