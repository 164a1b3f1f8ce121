"""A scorecard for people and for CI: lines, HTML, JUnit, and what of it fails. The document is `auditing.py`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any
from xml.etree import ElementTree as ET

Document = Mapping[str, Any]
Link = Callable[[str], str]
"""Returns the HTML that names a request or webhook and leads to more of it."""

FAILING = {"fail": ("fail",), "warn": ("fail", "warn")}
NOT_SEEN = "not seen"
SHOWN = 10  # request ids on a line

STYLE = """:root{color-scheme:light dark;--ink:#1c1e21;--ground:#fff;--line:#ddd;--pass:#157a3c;--fail:#b3261e;
--warn:#8a5a00;--info:#1a5fa8;--quiet:#666}@media(prefers-color-scheme:dark){:root{--ink:#e2e5e9;--ground:#14171a;
--line:#3a3f45;--pass:#5fcf8b;--fail:#ff8a80;--warn:#f0b169;--info:#82b8f5;--quiet:#a3a9b0}}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:var(--ink);
background:var(--ground)}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
a{color:var(--info)}:focus-visible{outline:2px solid var(--info);outline-offset:2px}
.pass{color:var(--pass)}.fail{color:var(--fail);font-weight:600}.warn{color:var(--warn);font-weight:600}
.info{color:var(--info)}.not-seen,.off,small{color:var(--quiet)}code{font-size:.85em}
ul{margin:.3rem 0;padding-left:1.1rem}"""


def failures(card: Document, fail_on: str, required: Sequence[str]) -> list[str]:
    """Return why the scorecard fails, one line each; none when it does not.

    `fail_on` is `fail` or `warn`. A duty in `required` that no vendor's traffic exercised fails, and so does one
    that is none.
    """
    duties = list(_duties(card))
    found = [
        f"{platform} {duty['duty']}: {duty['outcome']}"
        for platform, duty in duties
        if duty["outcome"] in FAILING[fail_on]
    ]
    for name in dict.fromkeys(required):
        outcomes = [duty["outcome"] for _, duty in duties if duty["duty"] == name]
        if all(outcome in {NOT_SEEN, "off"} for outcome in outcomes):
            found.append(f"{name}: {'not seen, and required' if outcomes else 'required, and no duty'}")
    return found


def _duties(card: Document) -> Iterator[tuple[str, Document]]:
    for name, platform in card["platforms"].items():
        yield from ((name, duty) for duty in platform["duties"])


def _graded(platform: Document) -> bool:
    return any(duty["outcome"] not in {NOT_SEEN, "off"} for duty in platform["duties"])


# --- for a terminal -------------------------------------------------------------------------------------------


def lines(card: Document) -> Iterator[str]:
    """Return the scorecard for a terminal: findings in full, what was not seen in one line a platform."""
    evicted = f"; {card['evicted']} more have left the journal and are not graded" if card["evicted"] else ""
    yield f"tenant {card['tenant']}: {card['requests']} requests graded{evicted}"
    for platform in card["platforms"].values():
        yield ""
        if not _graded(platform):
            yield f"{platform['title']}: no request, so nothing was seen"
            continue
        yield f"{platform['title']}: {platform['requests']} requests"
        yield from (line for duty in platform["duties"] for line in _lines_of(duty, card))
        unseen = [duty["duty"] for duty in platform["duties"] if duty["outcome"] == NOT_SEEN]
        yield f"  not seen  {' '.join(unseen)}"
    yield ""
    yield ", ".join(f"{count} {outcome}" for outcome, count in card["summary"].items())


def _lines_of(duty: Document, card: Document) -> Iterator[str]:
    if duty["outcome"] in {NOT_SEEN, "off"}:
        return
    yield f"  {duty['outcome']:<8}  {duty['duty']}  {duty['rule']}"
    for finding in duty["findings"]:
        times = f" ({finding['count']} times)" if finding["count"] > 1 else ""
        yield f"            {finding['detail']}{times}"
        yield f"              {_requests(finding, card)}"
    if duty["findings"]:
        yield f"            do: {duty['advice']}"
        yield f"            {duty['basis']}: {'; '.join(duty['source'])}"


def _requests(finding: Document, card: Document) -> str:
    ids = finding["requests"]
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return (", " if "log" in card else " ").join(_name(one, card) for one in ids[:SHOWN]) + more


def _name(request_id: str, card: Document) -> str:
    """Return the id, by which a sandbox knows more; where none keeps the request, what it was."""
    entry = card.get("log", {}).get(request_id)
    return str(entry["name"]) if entry else request_id


# --- for CI ---------------------------------------------------------------------------------------------------


def junit(card: Document, fail_on: str, required: Sequence[str]) -> str:
    """Return the scorecard as JUnit XML: one suite a platform, one case a duty; not seen is skipped."""
    root = ET.Element("testsuites", name="leadsandbox audit")
    for name, platform in card["platforms"].items():
        cases = [_case(name, duty, fail_on, required, card) for duty in platform["duties"]]
        counts = {kind: str(sum(case.find(kind) is not None for case in cases)) for kind in ("failure", "skipped")}
        suite = ET.SubElement(
            root, "testsuite", name=platform["title"], tests=str(len(cases)), errors="0",
            failures=counts["failure"], skipped=counts["skipped"],
        )  # fmt: skip
        suite.extend(cases)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(platform: str, duty: Document, fail_on: str, required: Sequence[str], card: Document) -> ET.Element:
    case = ET.Element("testcase", classname=f"leadsandbox.duties.{platform}", name=f"{duty['duty']} {duty['rule']}")
    missed = duty["duty"] in required and any(
        line.startswith(f"{duty['duty']}:") for line in failures(card, fail_on, required)
    )
    if duty["outcome"] in FAILING[fail_on] or missed:
        failure = ET.SubElement(case, "failure", message=_legal(_said(duty)), type=duty["outcome"])
        failure.text = _legal("\n".join(_lines_of(duty, card)))
    elif duty["outcome"] in {NOT_SEEN, "off"}:
        ET.SubElement(case, "skipped", message=_legal(duty["reason"] or duty["outcome"]))
    elif duty["findings"]:
        ET.SubElement(case, "system-out").text = _legal("\n".join(_lines_of(duty, card)))
    return case


def _said(duty: Document) -> str:
    return "; ".join(finding["detail"] for finding in duty["findings"]) or str(duty["reason"])


def _legal(text: str) -> str:
    """Return the text without what XML cannot hold; field names come from callers."""
    return "".join(
        mark if mark in "\t\n" or (mark >= " " and not "\ud800" <= mark <= "\udfff") else "?" for mark in text
    )


# --- for a browser --------------------------------------------------------------------------------------------


def html(card: Document, base_url: str | None = "") -> str:
    """Return the scorecard as one page that needs nothing else.

    Its links lead to the sandbox at `base_url`; None when no sandbox keeps the requests, and the page has no links.
    """
    link = partial(_linked, base_url, card)
    title = f"Duties of tenant {escape(card['tenant'])}"
    parts = "".join(_section(platform, link) for platform in card["platforms"].values())
    evicted = f"; {card['evicted']} have left the journal and are not graded" if card["evicted"] else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{card['requests']} requests graded{evicted}. "
        f"A duty that nothing exercised is not passed.</p>{parts}</main></body></html>\n"
    )


def _section(platform: Document, link: Link) -> str:
    rows = "".join(_row(duty, link) for duty in platform["duties"])
    head = "<tr><th>Duty</th><th>Verdict</th><th>Rule, and what was found</th><th>Source</th></tr>"
    count = platform["requests"]
    name = escape(platform["title"])
    table = f'<div class="wide" role="region" tabindex="0" aria-label="{name}"><table>{head}{rows}</table></div>'
    return f"<h2>{name}: {count} requests</h2>{table}"


def _row(duty: Document, link: Link) -> str:
    kind = duty["outcome"].replace(" ", "-")
    found = "".join(_item(finding, link) for finding in duty["findings"])
    advice = f"<p>{escape(duty['advice'])}</p>" if found else ""
    reason = f"<br><small>{escape(duty['reason'])}</small>" if duty["reason"] else ""
    told = f"{escape(duty['rule'])}{reason}" + (f"<ul>{found}</ul>{advice}" if found else "")
    source = f"{escape('; '.join(duty['source']))}<br><small>{escape(duty['basis'])}</small>"
    return f'<tr><td>{duty["duty"]}</td><td class="{kind}">{duty["outcome"]}</td><td>{told}</td><td>{source}</td></tr>'


def _item(finding: Document, link: Link) -> str:
    ids = finding["requests"]
    links = " ".join(link(one) for one in ids[:SHOWN])
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return f"<li>{escape(finding['detail'])} ({finding['count']})<br>{links}{more}</li>"


def _linked(base_url: str | None, card: Document, request_id: str) -> str:
    shown = f"<code>{escape(_name(request_id, card))}</code>"
    if base_url is None:
        return shown
    return f'<a href="{escape(_address(base_url, card["tenant"], request_id))}">{shown}</a>'


def _address(base_url: str, tenant: str, name: str) -> str:
    """Return where to read more of a request, or of a webhook (`deliveries/7`)."""
    return f"{base_url}/__sandbox/{name if '/' in name else f'requests/{name}'}?tenant={tenant}"
