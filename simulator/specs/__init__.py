"""Posting specifications as HTML, Markdown, JSON Schema, OpenAPI and curl. What they say is not decided here."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from simulator.contract.model import BodyType, Journey, in_force
from simulator.contract.openapi import Subject, document
from simulator.contract.published import BLANKS, Published

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
_FOLDER = files(__name__).joinpath("templates")
_TOKEN = "${PING_TOKEN:?set it to what the ping answered}"  # noqa: S105  without it the shell sends nothing
_TODAY = "$(date -u +%F)"


def rendered(items: Sequence[Published], form: str, server: str, day: str) -> str:
    """Return the specification of one source in one of FORMATS.

    `server` is the base URL that it names, `day` (`YYYY-MM-DD`) when its examples are sent.
    """
    return FORMATS[form][1](items, server, day)


def style() -> str:
    """Return the style sheet that stands inside the HTML page."""
    return _FOLDER.joinpath("spec.css").read_text("utf-8")


def path_of(item: Published) -> str:
    return _ARGUMENT.sub(lambda place: item.source.arguments[place[1]], item.operation.path)


def _html(items: Sequence[Published], server: str, day: str) -> str:
    return _page("spec.html.jinja", items, server, day, style=style())


def _markdown(items: Sequence[Published], server: str, day: str) -> str:
    return _page("spec.md.jinja", items, server, day)


def _page(template: str, items: Sequence[Published], server: str, day: str, **more: Any) -> str:
    sections = [_section(item, server, day) for item in items]
    return _templates().get_template(template).render(first=items[0], sections=sections, blanks=BLANKS, **more)


def _section(item: Published, server: str, day: str) -> dict[str, Any]:
    header = item.contract.admission.header(item.source, item.operation)
    assert header is not None  # whoever submits a lead presents a credential
    schema, words = item.schema, item.account.words
    return {
        "item": item,
        "path": path_of(item),
        "methods": [name for name, reading in item.operation.methods.items() if in_force(reading, words)],
        "bodies": _bodies(item),
        "header": ": ".join(header),
        "fields": [_field(name, each, schema) for name, each in schema["properties"].items()],
        "rules": item.rules,
        "rows": [
            row for row in item.contract.rows_of(item.operation.name) if in_force(row.reading, item.account.words)
        ],
        "curl": _curl(item, server, day),
    }


def _bodies(item: Published) -> list[str]:
    words = item.account.words
    kinds = [kind for kind, reading in item.operation.bodies.items() if in_force(reading, words)]
    return [kind.value for kind in kinds if kind is not BodyType.QUERY]


def _field(name: str, value: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, str]:
    kinds = [str(value[key]) for key in ("description", "format", "pattern", "type") if key in value]
    said = f"always {value['const']}" if "const" in value else next(iter(kinds), "any")
    transform = f", after {value['x-transform']}" if "x-transform" in value else ""
    required = "yes" if name in schema["required"] else "no"
    return {"name": name, "required": required, "value": said + transform, "label": value.get("title", "")}


def _schemas(items: Sequence[Published], _server: str, _day: str) -> str:
    return json.dumps({f"{item.terms.campaign_id} {item.operation.name}": item.schema for item in items}, indent=2)


def _openapi(items: Sequence[Published], server: str, day: str) -> str:
    first = items[0]
    by_operation: dict[str, list[Published]] = {}
    for item in items:
        by_operation.setdefault(item.operation.name, []).append(item)
    shared = first.source.credentials.values()  # a name that is a credential stands in no path
    named = first.source.arguments
    arguments = {name: named[name] for item in items for name in _ARGUMENT.findall(item.operation.path)}
    subject = Subject(
        first.contract,
        first.account.words,
        day,
        requests={name: _any_of(found) for name, found in by_operation.items()},
        examples={name: found[0].example_on(day) for name, found in by_operation.items()},
        arguments={name: value for name, value in arguments.items() if value not in shared},
    )
    title = f"{first.contract.title}: posting specification of {first.source.id}"
    return json.dumps(document([subject], title=title, version=version("leadsandbox"), server=server), indent=2)


def _any_of(items: Sequence[Published]) -> dict[str, Any]:
    """Return the schema of one operation; with several campaigns, the campaign's fixed fields tell which one counts."""
    if len(items) == 1:
        return items[0].schema
    schemas = [{key: value for key, value in item.schema.items() if key != "$schema"} for item in items]
    return {"anyOf": schemas}


def _curls(items: Sequence[Published], server: str, day: str) -> str:
    named = (f"# {item.operation.name}, {item.terms.campaign_id}\n{_curl(item, server, day)}\n" for item in items)
    return "\n".join(named)


def _curl(item: Published, server: str, day: str) -> str:
    header = item.contract.admission.header(item.source, item.operation)
    assert header is not None  # whoever submits a lead presents a credential
    sent, opening = item.example_on(day), ""
    # The shell looks up the day itself, so that a copy of the command stays right.
    variables = {field: _TODAY for field in item.operation.dated if sent.get(field) == day}
    if item.operation.link:
        variables[item.operation.link] = "$TXN"
        opening = "TXN=demo-$(date +%s)\n" if item.operation.journey is Journey.AUCTION else ""
    if item.token_field:
        variables[item.token_field] = _TOKEN
        opening = "# PING_TOKEN is what the ping answered\n"
    for field, variable in variables.items():
        sent.pop(field, None)
        sent[field] = variable
    parts = [
        f"curl -X POST {shlex.quote(server + path_of(item))}",
        f"-H {shlex.quote(': '.join(header))}",
        "-H 'Content-Type: application/json'",
        f"-d {_body(sent, variables.values())}",
    ]
    return opening + " \\\n  ".join(parts)


def _body(sent: Mapping[str, Any], variables: Iterable[str]) -> str:
    text = shlex.quote(json.dumps(sent))
    for variable in variables:
        text = text.replace(f'"{variable}"', f"\"'{variable}'\"")
    return text


FORMATS: Mapping[str, tuple[str, Callable[[Sequence[Published], str, str], str]]] = {
    "html": ("text/html", _html),
    "markdown": ("text/markdown", _markdown),
    "schema": ("application/json", _schemas),
    "openapi": ("application/json", _openapi),
    "curl": ("text/plain", _curls),
}
"""Media type and writer of each format."""


@cache
def _templates() -> Environment:
    loader = FunctionLoader(lambda name: _FOLDER.joinpath(name).read_text("utf-8"))
    made = Environment(
        loader=loader,
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"cell": _cell, "code": _code}
    return made


def _code(text: object) -> str:
    """Return a code span for a Markdown table."""
    fence = "``" if "`" in str(text) else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|")


def _cell(text: object) -> str:
    """Escape what would end a Markdown table's cell, or start HTML in it."""
    flat = re.sub(r"\s+", " ", str(text)).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", flat)
