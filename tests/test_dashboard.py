"""The dashboard without a script: what each page says, what its forms do, and who may see it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from werkzeug.datastructures import MultiDict

from simulator.web.conformance import Reports
from simulator.web.dashboard.actions import ACTIONS
from simulator.web.dashboard.sending import again
from tests.running import Running, sandbox
from tests.tenant import TIMEOUT, Tenant

UI = "/__sandbox/ui"
PAGES = (
    "/__sandbox/",
    *(f"{UI}/{name}" for name in ("sources", "buyers", "steering", "charts", "duties", "conformance")),
)
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"
HOSTILE = {
    "first_name": "<script>alert(1)</script>",
    "last_name": "\u202eevil",
    "address": "A" * 10_000,
    "city": "' onmouseover='alert(1)",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with sandbox("--db", ":memory:") as up:
        yield up


@pytest.fixture
def tenant(running: Running) -> Tenant:
    return Tenant(running.base_url)


@dataclass(frozen=True)
class Form:
    """A form that does something. `is_typed` says whether a person fills fields of it in."""

    action: str
    is_typed: bool
    fields: Mapping[str, str] = field(default_factory=dict)
    buttons: Sequence[Mapping[str, str]] = ()

    def with_field(self, tag: str, told: Mapping[str, str]) -> Form:
        pair = {told["name"]: told.get("value", "")} if "name" in told else {}
        if tag == "button":
            return replace(self, buttons=(*self.buttons, pair))
        return replace(self, fields={**self.fields, **pair})


class Page(HTMLParser):
    """A page as a reader without a script meets it."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.status, self.headers, self.source = answer.status_code, answer.headers, answer.text
        self.url = answer.url
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.forms: list[Form] = []
        self.preformatted: list[str] = []
        self._inside: list[str] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.elements.append((tag, told))
        self._inside.append(tag)
        if tag == "pre":
            self.preformatted.append("")
        elif tag == "form" and told["method"] == "post":
            self.forms.append(Form(told["action"], "data-curl" in told))
        elif tag in {"input", "button"} and "form" in self._inside:
            self.forms[-1:] = [form.with_field(tag, told) for form in self.forms[-1:]]

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "template" not in self._inside:
            self.words.append(data)
        if "pre" in self._inside:
            self.preformatted[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def page(tenant: Tenant, path: str, **parameters: str) -> Page:
    answer = tenant.session.get(f"{tenant.base}{path}", params={"tenant": tenant.name, **parameters}, timeout=TIMEOUT)
    return Page(answer)


def do(tenant: Tenant, action: str, headers: Mapping[str, str] | None = None, **fields: Any) -> Page:
    """Send the form of a page, and go where it leads."""
    typed = {"back": f"{UI}/steering?tenant={tenant.name}", **fields}
    url, named = f"{tenant.base}{UI}/do/{action}", {"tenant": tenant.name}
    return Page(tenant.session.post(url, params=named, data=typed, headers=headers, timeout=TIMEOUT))


def hostile_lead(tenant: Tenant) -> str:
    """Send a ping and a post that mean harm; return the id of the post."""
    ping = tenant.say("pingtree ping", sub1="<img src=x onerror=alert(1)>")
    assert ping.json()["data"]["leadStatus"] == "ping_accept", ping.text
    post = tenant.say("pingtree post", transaction_id=ping.json()["data"]["transaction_id"], **HOSTILE)
    return str(post.headers["X-Sandbox-Request-Id"])


# --- every page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_without_a_script_and_lets_nothing_in_from_elsewhere(tenant: Tenant, path: str) -> None:
    hostile_lead(tenant)
    found = page(tenant, path)
    assert found.status == 200
    assert found.headers["Content-Security-Policy"].startswith(POLICY)
    assert "unsafe" not in found.headers["Content-Security-Policy"]
    assert all(script.get("src", "").startswith(UI) for script in found.of("script"))
    assert not [
        name for _, attributes in found.elements for name in attributes if name.startswith("on") or name == "style"
    ]
    assert not found.of("style")
    assert len(found.of("h1")) == 1
    assert len(found.ids()) == len(set(found.ids()))
    # Nothing is loaded from elsewhere or sent there; evidence leads to the vendors' own pages, without saying whence.
    outside = re.findall(r'(?:src|href|action)="(https?:[^"]*)"', found.source)
    evidence = [link["href"] for link in found.of("a") if link.get("rel") == "external noreferrer"]
    assert sorted(outside) == sorted(evidence)
    assert all(address.startswith(("https://docs.pingtree.com/", "https://leaddistro.ai/")) for address in evidence)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_a_tenant_with_no_traffic_says_what_to_do_first(tenant: Tenant, path: str) -> None:
    found = page(tenant, path)
    assert found.status == 200
    if path.endswith(("/", "charts", "conformance")):
        assert tenant.base in found.text  # a command to paste, with this sandbox's own address


def test_every_file_that_a_page_names_is_served_with_its_kind(tenant: Tenant) -> None:
    found = page(tenant, "/__sandbox/")
    named = [item["src"] for item in found.of("script")] + [item["href"] for item in found.of("link")]
    pending, seen = list(named), set()
    while pending:
        path = pending.pop()
        answer = tenant.session.get(tenant.base + path, timeout=TIMEOUT)
        assert answer.status_code == 200, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in answer.headers["Cache-Control"]
        seen.add(path)
        imported = re.findall(r'from "\./([\w.]+)"|import "\./([\w.]+)"', answer.text) if path.endswith(".js") else []
        folder = path.rpartition("/")[0]
        pending += [f"{folder}/{one or other}" for one, other in imported if f"{folder}/{one or other}" not in seen]
    assert len(seen) > len(named)


def test_a_browser_that_comes_to_the_root_is_shown_the_pages_and_a_program_gets_the_vendors_answer(
    tenant: Tenant,
) -> None:
    asked = {"timeout": TIMEOUT, "allow_redirects": False}
    shown = requests.get(f"{tenant.base}/", headers={"Accept": "text/html,*/*;q=0.8"}, **asked)  # type: ignore[arg-type]
    assert (shown.status_code, shown.headers["Location"]) == (302, "/__sandbox/")
    assert requests.get(f"{tenant.base}/", **asked).status_code == 404  # type: ignore[arg-type]
    assert requests.post(f"{tenant.base}/", headers={"Accept": "text/html"}, **asked).status_code == 404  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/__sandbox/?tenant=nobody", 404, "There is no tenant 'nobody'"),
        (f"{UI}/nothing", 404, "The dashboard has nothing at"),
        (f"{UI}/requests/req_none_1", 404, "No request has the id"),
        (f"{UI}/buyers/pingtree/nobody", 404, "No buyer is called"),
        (f"{UI}/conformance/PT-NONE", 404, "PT-NONE"),
        ("/__sandbox/?row=PT-PING-201-ACCEPTED", 400, "did you mean 'PT-P"),
    ],
)
def test_what_cannot_be_shown_is_said_on_a_page(running: Running, path: str, status: int, says: str) -> None:
    found = Page(requests.get(running.base_url + path, timeout=TIMEOUT))
    assert found.status == status
    assert says in found.text


# --- traffic --------------------------------------------------------------------------------------------------


def test_the_curl_of_an_empty_page_works_and_is_listed_after_that(tenant: Tenant) -> None:
    found = page(tenant, "/__sandbox/")
    assert "Waiting for the first request" in found.text
    words = shlex.split(re.search(r"(curl -X POST .*?)Copy", found.text.replace("\\ ", " "))[1])  # type: ignore[index]
    headers = dict(word.split(": ", 1) for word in words if ": " in word and not word.startswith("{"))
    answer = requests.post(words[3], headers=headers, data=words[-1].replace("$TXN", "t1"), timeout=TIMEOUT)
    assert answer.status_code == 201
    listed = page(tenant, "/__sandbox/")
    assert answer.headers["X-Sandbox-Request-Id"] in listed.source
    assert "Waiting" not in listed.text


def test_a_request_is_sent_again_as_it_was_and_curl_reads_nothing_into_it() -> None:
    sent = {"headers": {"content-type": "application/json"}, "body": "@/etc/hostname", "body_bytes": 14}
    entry = {"method": "GET", "path": "/api/x?a={b,c}", "request": sent}
    words = shlex.split(again(entry, "http://127.0.0.1:1").replace("\\\n", " "))
    assert words[:6] == ["curl", "-g", "--path-as-is", "-X", "GET", "http://127.0.0.1:1/api/x?a={b,c}"]
    assert words[-2:] == ["--data-raw", "@/etc/hostname"]
    cut = again({**entry, "request": {**sent, "body_truncated": True, "body_bytes": 20_000}}, "http://127.0.0.1:1")
    assert cut.startswith("# the body had 20000 bytes, and only its beginning was kept\ncurl ")


def test_the_address_of_all_pages_leads_to_the_first(tenant: Tenant) -> None:
    for address in (UI, f"{UI}/"):
        answer = requests.get(f"{tenant.base}{address}", timeout=TIMEOUT, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) in {(302, "/__sandbox/"), (308, f"{tenant.base}{UI}/")}
    assert requests.get(f"{tenant.base}{UI}", timeout=TIMEOUT).status_code == 200


def test_what_turns_the_direction_is_spelled_out_in_the_title_too(tenant: Tenant) -> None:
    answer = requests.post(f"{tenant.base}/api/v1/%E2%80%AEgnp.exe", timeout=TIMEOUT)
    number = answer.headers["X-Sandbox-Request-Id"]  # of the default tenant: the path names nobody
    found = requests.get(f"{tenant.base}{UI}/requests/{number}", timeout=TIMEOUT).text
    assert "\\u202egnp.exe" in found.partition("<title>")[2].partition("</title>")[0]
    assert "\u202e" not in found


def test_evidence_leads_to_the_vendor_s_own_page(tenant: Tenant) -> None:
    found = page(tenant, f"{UI}/duties")
    assert 'href="https://leaddistro.ai/docs/' in found.source


def test_filters_keep_what_matches_and_say_when_nothing_does(tenant: Tenant) -> None:
    tenant.say("pingtree ping")
    tenant.say("leaddistro ingest", headers={"x-api-key": "wrong"})
    pings = page(tenant, "/__sandbox/", operation="ping", http="2xx", platform="pingtree")
    assert "PT-PING-201-ACCEPT" in pings.source.partition("<tbody")[2]
    nothing = page(tenant, "/__sandbox/", row="PT-POST-401-AUTH")
    assert "No request matches" in nothing.text


def test_older_requests_are_a_page_further(tenant: Tenant) -> None:
    for _ in range(103):
        tenant.say("pingtree ping")
    newest = page(tenant, "/__sandbox/")
    rows = newest.source.partition("<tbody")[2].partition("</tbody>")[0].count("<tr ")
    [older] = [item["href"] for item in newest.of("a") if "after=" in item.get("href", "")]
    assert "stands still" not in newest.text
    rest = Page(tenant.session.get(tenant.base + older, timeout=TIMEOUT))
    assert (rows, rest.source.partition("<tbody")[2].partition("</tbody>")[0].count("<tr ")) == (100, 3)
    assert "stands still" in rest.text
    assert f"/__sandbox/?tenant={tenant.name}" in [item["href"] for item in rest.of("a")]


def test_the_explanation_shows_the_auction_the_way_to_the_answer_and_a_curl_that_sends_it_again(tenant: Tenant) -> None:
    answer = tenant.say("pingtree ping")
    found = page(tenant, f"{UI}/requests/{answer.headers['X-Sandbox-Request-Id']}")
    for words in (
        "How it was decided",
        "xyz_lenders",
        "won",
        "outbid by",
        "$45.00",
        "Send it again",
        "PT-PING-201-ACCEPT",
    ):
        assert words in found.text
    token = tenant.welcome["platforms"]["pingtree"]["sources"][0]["credentials"]["ping"]
    assert found.source.count(token) == 1  # where it can be copied, and nowhere in what was recorded
    assert "Bearer $TOKEN" in found.text


def test_a_refusal_says_what_would_have_to_change(tenant: Tenant) -> None:
    answer = tenant.say("pingtree ping", state="California")
    found = page(tenant, f"{UI}/requests/{answer.headers['X-Sandbox-Request-Id']}")
    assert "Not accepted" in found.text
    assert "change state" in found.text.partition("What would have to change")[2]


def test_a_hostile_lead_is_text_on_every_page_that_shows_it(tenant: Tenant) -> None:
    request_id = hostile_lead(tenant)
    for path in (f"{UI}/requests/{request_id}", "/__sandbox/", f"{UI}/buyers/pingtree/xyz_lenders", f"{UI}/duties"):
        found = page(tenant, path)
        assert found.status == 200
        assert "alert(1)</script>" not in found.source
        assert not [item for item in found.of("img") if "onerror" in item]
        assert "\u202e" not in found.source.partition("Send it again")[0]
    shown = page(tenant, f"{UI}/requests/{request_id}")
    assert "<script>alert(1)</script>" in shown.text
    assert "\\u202eevil" in shown.text
    assert "(10,000 characters)" in shown.text


# --- sources, buyers ------------------------------------------------------------------------------------------


def test_sources_show_addresses_credentials_and_limits(tenant: Tenant) -> None:
    found = page(tenant, f"{UI}/sources")
    source = tenant.welcome["platforms"]["pingtree"]["sources"][0]
    assert set(source["credentials"].values()) <= set(found.text.split())
    assert f"{tenant.base}/api/lead/ping/{source['name']}" in found.text
    assert "100 a second, bursts of 200 for 10 s" in found.text


def test_a_new_token_replaces_the_old_one_at_once(tenant: Tenant) -> None:
    source = tenant.welcome["platforms"]["pingtree"]["sources"][0]
    told = do(
        tenant,
        "regenerate",
        platform="pingtree",
        owner=source["id"],
        kind="ping",
        back=f"{UI}/sources?tenant={tenant.name}",
    )
    assert "new ping credential" in told.text
    assert told.url.startswith(f"{tenant.base}{UI}/sources?tenant={tenant.name}&notice=")
    assert source["credentials"]["ping"] not in told.source
    assert tenant.say("pingtree ping").status_code == 401


def test_a_switch_of_a_buyer_changes_what_it_does(tenant: Tenant) -> None:
    assert (
        "refuses everything from now on"
        in do(tenant, "switch", platform="pingtree", buyer="xyz_lenders", mode="refuse").text
    )
    ping = tenant.say("pingtree ping")
    assert ping.json()["data"]["amount"] == "5.00"
    assert "refusing" in page(tenant, f"{UI}/buyers").text
    do(tenant, "switch", platform="pingtree", buyer="xyz_lenders", mode="")
    assert tenant.say("pingtree ping").json()["data"]["amount"] == "45.00"


def test_a_buyer_shows_what_it_received_and_its_webhooks_can_be_replayed(tenant: Tenant) -> None:
    lead = tenant.say("leaddistro ingest", state="TX")
    assert lead.status_code == 201
    tenant.control("POST", "clock", {"advance": "1 s"})
    [delivery] = tenant.control("GET", "deliveries").json()["deliveries"]
    shown = page(tenant, f"{UI}/buyers/leaddistro/{delivery['buyer_id']}")
    assert "signature good" in shown.text
    assert f"Delivery {delivery['id']}" in shown.text
    assert "is sent again" in do(tenant, "replay", id=delivery["id"]).text


def test_a_buyer_is_told_by_the_control_api_with_its_caps_and_its_player(tenant: Tenant) -> None:
    found = {item["id"]: item for item in tenant.control("GET", "buyers").json()["buyers"]}
    assert found["golden_bank"]["played"]["persona"] == "premium"
    assert found["golden_bank"]["caps"] == []
    one = tenant.control("GET", "buyers/pingtree/golden_bank").json()
    assert one["played"]["resolved"]["price"]["amount"] == "60"
    assert tenant.control("GET", "buyers/pingtree/nobody").status_code == 404
    assert tenant.control("PATCH", "buyers/pingtree/golden_bank", {"mode": "sing"}).status_code == 422
    assert tenant.control("GET", "buyers/pingtree/golden_bank/received").json()["received"] == []


def test_caps_fill_as_leads_are_sold(running: Running) -> None:
    buyer = {"id": "b1", "caps": {"day": 3, "dollars": {"month": 100}}}
    source = {"id": "s1", "link_id": "lnk_caps"}
    capped = Tenant(
        running.base_url, sandbox={"pingtree": {"campaigns": [{"id": "c1", "sources": [source], "buyers": [buyer]}]}}
    )
    ping = capped.say("pingtree ping")
    capped.say("pingtree post", transaction_id=ping.json()["data"]["transaction_id"])
    told = {
        cap["cap"]: (cap["used"], cap["limit"]) for cap in capped.control("GET", "buyers").json()["buyers"][0]["caps"]
    }
    assert told == {"3 leads a day": (1, 3), "$100.00 a month": (4500, 10_000)}
    assert "1 of 3" in page(capped, f"{UI}/buyers").text
    assert "$45.00 of $100.00" in page(capped, f"{UI}/buyers/pingtree/b1").text


# --- controls -------------------------------------------------------------------------------------------------


def test_the_clock_moves_by_a_form_and_a_ping_expires(tenant: Tenant) -> None:
    ping = tenant.say("pingtree ping").json()["data"]["transaction_id"]
    assert "The clock shows" in do(tenant, "advance", advance="301 s").text
    post = tenant.say("pingtree post", transaction_id=ping)
    assert post.status_code == 400
    assert "expired" in page(tenant, f"{UI}/requests/{post.headers['X-Sandbox-Request-Id']}").text


def test_a_fault_is_armed_fires_and_is_disarmed(tenant: Tenant) -> None:
    armed = do(
        tenant,
        "arm",
        trigger="http_503",
        platform="leaddistro",
        operation="ingest",
        count="2",
        probability="",
        source="",
    )
    assert "is armed: http_503 for leaddistro ingest" in armed.text
    assert tenant.say("leaddistro ingest").status_code == 503
    assert "fired 1 time of 2" in page(tenant, f"{UI}/steering").text
    [fault] = tenant.control("GET", "faults").json()["faults"]
    assert "is disarmed" in do(tenant, "disarm", id=fault["id"]).text
    assert tenant.say("leaddistro ingest").status_code == 201


def test_a_form_that_cannot_be_done_says_why_and_keeps_what_was_typed(tenant: Tenant) -> None:
    told = do(tenant, "arm", trigger="no_such_trigger", count="7")
    assert "'no_such_trigger' is no trigger" in told.text
    [trigger] = [item for item in told.of("input") if item.get("name") == "trigger"]
    [count] = [item for item in told.of("input") if item.get("name") == "count"]
    assert (trigger["value"], count["value"]) == ("no_such_trigger", "7")
    assert "count must be a whole number, not 'many'" in do(tenant, "arm", trigger="no_bid", count="many").text
    huge = do(tenant, "arm", trigger="no_bid", count="9" * 30)
    assert (huge.status, "Nothing was done: a number is too large" in huge.text) == (200, True)
    assert do(tenant, "fly").status == 404


@pytest.mark.parametrize("number", ["9" * 12, "9" * 400, "9" * 5000])
def test_a_clock_that_cannot_go_so_far_says_how_far_it_can(tenant: Tenant, number: str) -> None:
    before = tenant.control("GET", "clock").json()["now"]
    for unit in ("days", "ms", ""):
        told = do(tenant, "advance", advance=f"{number}{'0' * 9} {unit}").text
        assert "Nothing was done: a clock can't be moved so far: at most 2568020 days" in told
    asked = tenant.control("POST", "clock", {"advance": float(number[:300])})
    assert (asked.status_code, "can't be moved so far" in asked.json()["detail"]) == (400, True)
    after = tenant.control("GET", "clock").json()["now"]
    assert datetime.fromisoformat(after) - datetime.fromisoformat(before) < timedelta(hours=12), "it only went on"


@pytest.mark.parametrize("number", ["9" * 19, "9" * 400, "9" * 5000, "0", "\u0661"])
def test_a_delivery_of_which_there_cannot_be_one_is_not_found(tenant: Tenant, number: str) -> None:
    assert f"Nothing was done: No delivery '{number[:50]}'" in do(tenant, "replay", id=number).text
    assert tenant.control("GET", f"deliveries/{number}").status_code == 404
    beyond = tenant.session.get(f"{tenant.base}/__sandbox/deliveries", params={"after": number}, timeout=TIMEOUT)
    assert beyond.status_code == 400
    assert "after must be a whole number" in beyond.json()["detail"]


def test_a_page_comes_back_to_where_its_button_was(tenant: Tenant) -> None:
    for path in WITH_BUTTONS:
        found = page(tenant, path)
        for form in (item for item in found.forms if "/ui/do/" in item.action):
            assert urlsplit(form.fields["back"]).fragment in found.ids(), (path, form)
    url = f"{tenant.base}{UI}/do/freeze"
    typed = {"back": f"{UI}/steering?tenant={tenant.name}#h-clock"}
    named = {"tenant": tenant.name}
    sent = requests.post(url, params=named, data=typed, timeout=TIMEOUT, allow_redirects=False)
    assert re.fullmatch(rf"{UI}/steering\?tenant={tenant.name}&notice=[^#]+#h-clock", sent.headers["Location"])


# --- the curl beside a button ---------------------------------------------------------------------------------


WITH_BUTTONS = tuple(f"{UI}/{name}" for name in ("sources", "buyers", "steering", "buyers/leaddistro/buyer_abc"))


def everything_there(tenant: Tenant) -> None:
    """Bring about every button that there is: something to disarm, delete, restore and replay."""
    tenant.control("POST", "snapshots", {"name": "before"})
    assert tenant.say("leaddistro ingest", state="TX").status_code == 201
    for trigger in ("no_bid", "http_503"):
        tenant.control("POST", "faults", {"trigger": trigger})


def commands(found: Page) -> list[tuple[str, str, Any]]:
    """Return what the curls of a page send to the control API: method, address, body."""
    lines = (line for text in found.preformatted for line in text.splitlines())
    return [_command(shlex.split(line)) for line in lines if line.startswith("curl -X ") and "/__sandbox/" in line]


def _command(words: list[str]) -> tuple[str, str, Any]:
    return words[2], words[3], json.loads(words[words.index("-d") + 1]) if "-d" in words else None


def run(command: tuple[str, str, Any]) -> requests.Response:
    method, url, body = command
    return requests.request(method, url, json=body, timeout=TIMEOUT)


@pytest.mark.parametrize("path", WITH_BUTTONS)
def test_every_button_of_a_page_has_its_curl_on_it(tenant: Tenant, path: str) -> None:
    everything_there(tenant)
    found = page(tenant, path)
    shown = commands(found)
    acting = [form for form in found.forms if "/ui/do/" in form.action]
    assert acting
    for form in acting:
        action = ACTIONS[urlsplit(form.action).path.rpartition("/")[2]]
        for pressed in form.buttons:
            typed = MultiDict({**form.fields, **pressed})
            tenants = f"?tenant={tenant.name}" if action.of_tenant else ""
            url = f"{tenant.base}/__sandbox{action.address(typed)}{tenants}"
            body = action.body(typed) or None
            if form.is_typed:  # its curl follows what is typed, which takes a script
                assert (action.method, url) in [told[:2] for told in shown], (form, pressed)
            else:
                assert (action.method, url, body) in shown, (form, pressed)


def test_all_that_the_pages_can_do_is_on_one_of_them(tenant: Tenant) -> None:
    everything_there(tenant)
    tenant.control("POST", "clock", {"freeze": True})
    offered = {form.action for path in WITH_BUTTONS for form in page(tenant, path).forms}
    names = {urlsplit(action).path.rpartition("/")[2] for action in offered}
    assert names >= ACTIONS.keys() - {"freeze"}  # "Let it run" is in its place


@pytest.mark.long
def test_what_became_of_an_action_is_told_by_whichever_worker_renders_the_page(tenant: Tenant) -> None:
    url = f"{tenant.base}{UI}/do/arm"
    asked: dict[str, Any] = {"params": {"tenant": tenant.name}, "timeout": TIMEOUT}
    browser = requests.Session()
    done = browser.post(url, data={"trigger": "no_such", "back": f"{UI}/steering"}, allow_redirects=False, **asked)
    cookie = done.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    with sandbox("--db", ":memory:") as other:
        told = Page(browser.get(f"{other.base_url}{done.headers['Location']}", timeout=TIMEOUT))
        assert "'no_such' is no trigger" in told.text
        assert "no_such" in [item.get("value") for item in told.of("input")]
        for strange in ("", "!", "bm9uZQ==", "e30="):
            sent = {"Cookie": f"leadsandbox_notice={strange}"}
            page = requests.get(f"{other.base_url}{done.headers['Location']}", headers=sent, timeout=TIMEOUT)
            assert (page.status_code, "no_such" in page.text) == (200, False)


def test_the_curl_beside_a_button_does_what_the_button_does(tenant: Tenant) -> None:
    found = page(tenant, f"{UI}/steering")
    [command] = re.findall(r"curl -X POST '[^']*/clock[^']*' -d '\{\"advance\":\"301 s\"\}'", found.text)
    _, _, method, url, _, body = shlex.split(command)
    before = tenant.control("GET", "clock").json()["now"]
    after = requests.request(method, url, data=body, timeout=TIMEOUT).json()["now"]
    assert after > before
    assert f"tenant={tenant.name}" in url


def shown(tenant: Tenant, path: str, method: str, ending: str) -> tuple[str, str, Any]:
    """Return the one curl of a page with this method, whose address without its query ends so."""
    [found] = [
        one for one in commands(page(tenant, path)) if one[0] == method and urlsplit(one[1]).path.endswith(ending)
    ]
    return found


def test_the_curls_beside_what_disarms_deletes_restores_and_forgets_do_it(tenant: Tenant) -> None:
    steering = f"{UI}/steering"
    everything_there(tenant)
    first, second = (item["id"] for item in tenant.control("GET", "faults").json()["faults"])
    assert run(shown(tenant, steering, "DELETE", f"/faults/{first}")).status_code == 200
    assert [item["id"] for item in tenant.control("GET", "faults").json()["faults"]] == [second]
    assert len(tenant.control("GET", "leads").json()["leads"]) == 1
    assert run(shown(tenant, steering, "POST", "/snapshots/before/restore")).status_code == 200
    assert tenant.control("GET", "leads").json()["leads"] == []  # as it was before the lead
    assert run(shown(tenant, steering, "DELETE", "/snapshots/before")).status_code == 200
    assert tenant.control("GET", "snapshots").json()["snapshots"] == []
    assert run(shown(tenant, steering, "DELETE", f"/tenants/{tenant.name}")).status_code == 200
    assert (
        Page(requests.get(f"{tenant.base}/__sandbox/", params={"tenant": tenant.name}, timeout=TIMEOUT)).status == 404
    )


def test_tenants_are_made_and_deleted_by_forms(tenant: Tenant) -> None:
    name = f"{tenant.name}-two"
    made = do(tenant, "create-tenant", name=name, seed="7")
    assert f"The tenant {name} is there" in made.text
    assert f"tenant={name}" in made.url  # one is led there
    again = do(tenant, "create-tenant", name=name)
    assert "is taken" in again.text
    assert f"The tenant {name} and everything of it are gone" in do(tenant, "delete-tenant", name=name).text
    assert Page(requests.get(f"{tenant.base}/__sandbox/", params={"tenant": name}, timeout=TIMEOUT)).status == 404


def test_state_is_reset_and_snapshots_are_restored_by_forms(tenant: Tenant) -> None:
    tenant.say("leaddistro ingest", state="TX")
    assert "The state is kept as before" in do(tenant, "snapshot", name="before").text
    assert "leads (1)" in do(tenant, "reset", scopes=["leads", "caps"]).text
    assert tenant.control("GET", "leads").json()["leads"] == []
    assert "Nothing was done: choose at least one of the scopes" in do(tenant, "reset").text
    assert "are those of before" in do(tenant, "restore", name="before").text
    assert len(tenant.control("GET", "leads").json()["leads"]) == 1
    assert "is forgotten" in do(tenant, "forget-snapshot", name="before").text


# --- charts, duties, conformance ------------------------------------------------------------------------------


def test_charts_have_their_numbers_in_a_table(tenant: Tenant) -> None:
    ping = tenant.say("pingtree ping").json()["data"]["transaction_id"]
    tenant.say("pingtree post", transaction_id=ping)
    tenant.say("leaddistro ingest", state="TX")
    tenant.say("leaddistro ingest", state="Texas")
    found = page(tenant, f"{UI}/charts")
    assert len(found.of("figure")) >= 7
    assert "$90.00" in found.text  # 45 from the auction, 45 from the waterfall
    assert "$40 to $45 0 1" in found.text or "$45 to $50 1 0" in found.text
    rows = found.text.partition("Rows over time")[2].partition("Bids")[0]
    for row in ("PT-PING-201-ACCEPT", "LD-ING-400-VALIDATION", "2xx 4xx 5xx all others"):
        assert row in rows
    assert all("title" not in item for item in found.of("svg"))


def test_the_scorecard_leads_to_the_requests_that_broke_a_duty(tenant: Tenant) -> None:
    sent = tenant.say("pingtree ping", email="jane@example.com").headers["X-Sandbox-Request-Id"]
    found = page(tenant, f"{UI}/duties")
    card = found.source.partition('id="pingtree-D01"')[2].partition("</li>")[0]
    assert sent in card
    assert "v-fail" in card
    assert "D01" in page(tenant, f"{UI}/requests/{sent}").text.partition("Duties")[2]


def test_the_scorecard_leads_to_the_requests_that_met_a_duty(tenant: Tenant) -> None:
    sent = [tenant.say("pingtree ping").headers["X-Sandbox-Request-Id"] for _ in range(4)]
    found = page(tenant, f"{UI}/duties")
    card = found.source.partition('id="pingtree-D01"')[2].partition("</li>")[0]
    assert "met 4 times, first by" in card
    assert [item for item in sent if f"/requests/{item}?" in card] == sent[:3]
    [duty] = [
        item
        for item in tenant.control("GET", "audit").json()["platforms"]["pingtree"]["duties"]
        if item["duty"] == "D01"
    ]
    assert (duty["outcome"], duty["requests"]) == ("pass", sent)


def test_the_names_of_evidence_lead_to_what_they_mean(tenant: Tenant) -> None:
    sent = tenant.say("pingtree ping", email="jane@example.com").headers["X-Sandbox-Request-Id"]
    assert tenant.control("PUT", "conformance", report()).status_code == 200
    for path in ("duties", "conformance", "conformance/PT-PING-201-ACCEPT", f"requests/{sent}"):
        found = page(tenant, f"{UI}/{path}")
        assert "seed:001 is Pingtree's page “Create Source Ping API”" in found.text
        assert found.ids().count("evidence") == 1
        if path != "conformance":
            assert "#evidence" in [item.get("href") for item in found.of("a")]


def report(**more: Any) -> dict[str, Any]:
    row = {
        "id": "PT-PING-201-ACCEPT", "platform": "pingtree", "operation": "ping", "http": 201, "code": "ping_accept",
        "evidence": "full", "meaning": "At least one buyer bid.", "source": ["seed:001"], "reading": "", "cases": ["C"],
        "declared": True, "cased": True, "possible": True, "observed": True, "asserted": False, "falsified": None,
        "verdict": "FAIL", "why": "",
    }  # fmt: skip
    finding = {
        "row": row["id"], "expected": "201", "actual": "<b>200</b>", "documented": "A ping is answered 201.",
        "source": ["seed:001"], "exchange": None, "curl": "curl http://sandbox.example.com/",
    }  # fmt: skip
    result = {
        "id": "C", "title": "A ping is answered 201", "platform": "pingtree", "kind": "case", "verdict": "FAIL",
        "verifies": [row["id"]], "why": None, "detail": "", "findings": [finding], "exchanges": [],
        "milliseconds": 1.0, "expected_failure": False,
    }  # fmt: skip
    return {
        "version": 1, "suite": "0", "target": {"name": "a target", "base_url": "http://sandbox.example.com"},
        "started": "2026-11-20T10:00:00+00:00", "seconds": 1.0, "results": [result], "rows": [row], "exit_code": 1,
        "complete": True, "requests": 2, "stale": [], "notes": [], "self_test": None, "possible": 1, "achieved": 0,
        "counts": {"FAIL": 1}, **more,
    }  # fmt: skip


def test_the_last_report_of_the_suite_is_shown_and_leads_to_its_evidence(tenant: Tenant) -> None:
    assert tenant.control("PUT", "conformance", report()).json()["rows"] == 1
    assert tenant.control("GET", "conformance").json()["counts"] == {"FAIL": 1}
    matrix = page(tenant, f"{UI}/conformance")
    assert "A case failed" in matrix.text
    [link] = [item["href"] for item in matrix.of("a") if item.get("href", "").startswith(f"{UI}/conformance/PT-")]
    shown = Page(tenant.session.get(tenant.base + link, timeout=TIMEOUT))
    assert "A ping is answered 201. seed:001" in shown.text
    assert "<b>200</b>" in shown.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "a report is JSON"),
        (b"[]", "no report of version 1"),
        (json.dumps(report(version=2)).encode(), "version: Input should be less than or equal to 1"),
        (json.dumps(report(rows=[{}])).encode(), "rows.0.id: Field required"),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(running: Running, body: bytes, says: str) -> None:
    answer = requests.put(f"{running.base_url}/__sandbox/conformance", data=body, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]


LEAST: dict[str, Any] = {
    "version": 1, "started": "", "exit_code": 1, "target": {}, "counts": {},
    "rows": [{"id": "PT-X", "platform": "pingtree", "operation": "ping", "http": 201, "verdict": "FAIL"}],
    "results": [
        {"id": "C/1 ?", "title": "", "verdict": "FAIL", "verifies": ["PT-X"], "findings": [{}], "exchanges": [{}]},
    ],
}  # fmt: skip


def test_a_report_of_what_is_needed_and_nothing_else_is_shown(tenant: Tenant) -> None:
    assert tenant.control("PUT", "conformance", LEAST).status_code == 200
    assert "PT-X" in page(tenant, f"{UI}/conformance").text
    assert page(tenant, f"{UI}/conformance/PT-X").status == 200
    assert page(tenant, f"{UI}/conformance/C%2F1%20%3F").status == 200
    assert tenant.control("GET", "conformance").json()["rows"][0]["id"] == "PT-X"


def wrong_reports() -> Iterator[bytes]:
    """Yield reports of which one value is of another kind, missing, huge, empty or deep."""
    whole = report()
    whole["results"][0]["exchanges"] = [{"number": 1, "request_headers": {}, "rows": [], "problems": [], "status": 200}]
    strange: list[Any] = [None, True, -1, 1e300, 2**64, "x" * 300, "", [], [[]], [None], {}, {"": {"": []}}, [{}]]
    places = [whole, whole["target"], whole["rows"][0], whole["results"][0]]
    places += [whole["results"][0]["findings"][0], whole["results"][0]["exchanges"][0]]
    for place in places:
        for name in list(place):
            kept = place.pop(name)
            yield json.dumps(whole).encode()
            for value in strange:
                place[name] = value
                yield json.dumps(whole).encode()
            place[name] = kept
    yield from (b'{"a":' * depth + b"1" + b"}" * depth for depth in (300, 5000, 100_000))
    yield from (
        json.dumps(whole).replace('"seconds"', f'"deep": {"[" * n + "]" * n}, "seconds"').encode() for n in (250, 300)
    )
    yield json.dumps(report(rows=whole["rows"] * 10_001)).encode()
    yield from (b"", b"null", b"NaN", b'"\xff"', b"1" * 5000)


@pytest.fixture(scope="module")
def alone() -> Iterator[Tenant]:
    """A sandbox whose report nobody else puts."""
    with sandbox("--db", ":memory:") as up:
        yield Tenant(up.base_url)


@pytest.mark.long
def test_whatever_is_given_as_a_report_is_shown_or_refused(alone: Tenant) -> None:
    url = f"{alone.base}/__sandbox/conformance"
    taken = refused = 0
    for body in wrong_reports():
        answer = alone.session.put(url, data=body, timeout=TIMEOUT)
        assert answer.status_code in {200, 400}, (body[:500], answer.text)
        if answer.status_code == 400:
            refused += 1
            assert answer.json()["detail"]
            continue
        taken += 1
        names = [item["id"] for kind in ("rows", "results") for item in answer_of(alone)[kind]]
        for path in (f"{UI}/conformance", *(f"{UI}/conformance/{quote(name, safe='')}" for name in names)):
            assert alone.session.get(f"{alone.base}{path}", timeout=TIMEOUT).status_code == 200, (path, body[:500])
    assert (taken > 50, refused > 50) == (True, True)


def answer_of(tenant: Tenant) -> dict[str, Any]:
    found: dict[str, Any] = tenant.control("GET", "conformance").json()
    return found


def test_a_report_of_a_whole_run_may_be_sent_and_no_boundless_one(running: Running) -> None:
    url = f"{running.base_url}/__sandbox/conformance"
    large = json.dumps(report() | {"more": "x" * 3_000_000})
    assert requests.put(url, data=large, timeout=TIMEOUT).status_code == 200
    assert requests.put(url, data=b" " * 9_000_000, timeout=TIMEOUT).status_code == 413


@pytest.mark.long
def test_a_report_file_is_shown_when_it_is_written_and_a_broken_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with sandbox("--db", ":memory:", "--conformance-report", str(file)) as up:
        url = f"{up.base_url}{UI}/conformance"
        assert f"{file} is not there yet" in Page(requests.get(url, timeout=TIMEOUT)).text
        file.write_text(json.dumps(report()))
        assert "a target" in Page(requests.get(url, timeout=TIMEOUT)).text
        file.write_text("{}")
        for _ in ("at once", "and for as long as it is so"):
            told = Page(requests.get(url, timeout=TIMEOUT)).text
            assert "no report of version 1" in told
            assert "a target" not in told
        requests.put(f"{up.base_url}/__sandbox/conformance", json=report(), timeout=TIMEOUT).raise_for_status()
        assert "a target" in Page(requests.get(url, timeout=TIMEOUT)).text


def test_what_was_put_to_one_worker_is_shown_by_the_others(tmp_path: Path) -> None:
    one, other = (Reports(None, tmp_path / "conformance.json") for _ in range(2))
    assert other.last() is None
    one.put(json.dumps(report()).encode())
    other.put(json.dumps(report(exit_code=0)).encode())
    assert [item["exit_code"] for reports in (one, other) if (item := reports.last())] == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["conformance.json"]


# --- who may ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with sandbox("--db", ":memory:", "--control-token", "not-a-secret") as up:
        yield up.base_url


def test_with_a_control_token_pages_lead_to_the_login_and_back(guarded: str) -> None:
    browser = requests.Session()
    asked = browser.get(f"{guarded}{UI}/sources?tenant=default", timeout=TIMEOUT)
    assert asked.url.startswith(f"{guarded}{UI}/login?next=")
    assert "src_abc123" not in asked.text
    wrong = browser.post(f"{guarded}{UI}/login", data={"token": "guess", "next": f"{UI}/sources"}, timeout=TIMEOUT)
    assert (wrong.status_code, "not the control token" in wrong.text) == (403, True)
    form = {item["name"]: item["value"] for item in Page(asked).of("input") if item["name"] == "next"}
    there = browser.post(f"{guarded}{UI}/login", data={"token": "not-a-secret", **form}, timeout=TIMEOUT)
    assert there.url == f"{guarded}{UI}/sources?tenant=default"
    assert "src_abc123" in there.text
    assert browser.get(f"{guarded}/__sandbox/clock", timeout=TIMEOUT).status_code == 200  # as the pages' scripts ask
    browser.post(f"{guarded}{UI}/logout", timeout=TIMEOUT)
    assert browser.get(f"{guarded}/__sandbox/clock", timeout=TIMEOUT).status_code == 401


def test_the_login_cookie_is_no_script_s_and_no_other_site_s_and_not_the_token(guarded: str) -> None:
    login = requests.post(
        f"{guarded}{UI}/login", data={"token": "not-a-secret"}, timeout=TIMEOUT, allow_redirects=False
    )
    cookie = login.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/__sandbox" in cookie
    assert "not-a-secret" not in cookie
    forged = {"Cookie": cookie.partition("=")[0] + "=" + "0" * 64}
    assert requests.get(f"{guarded}/__sandbox/clock", headers=forged, timeout=TIMEOUT).status_code == 401


def test_who_does_something_after_the_login_ended_is_told_so_and_led_back_to_the_same_page(guarded: str) -> None:
    form = {"minutes": "7", "back": f"{UI}/steering#clock"}
    refused = requests.post(f"{guarded}{UI}/do/advance", data=form, timeout=TIMEOUT)
    assert "nothing was done" in refused.text
    assert f'value="{UI}/steering#clock"' in refused.text


def test_actions_of_a_guarded_sandbox_need_the_login_and_show_where_the_token_goes(guarded: str) -> None:
    url = f"{guarded}{UI}/do/advance"
    before = requests.get(
        f"{guarded}/__sandbox/clock", headers={"Authorization": "Bearer not-a-secret"}, timeout=TIMEOUT
    )
    refused = requests.post(url, data={"advance": "9 days"}, timeout=TIMEOUT)
    assert refused.url.startswith(f"{guarded}{UI}/login")
    browser = requests.Session()
    browser.post(f"{guarded}{UI}/login", data={"token": "not-a-secret"}, timeout=TIMEOUT)
    moved = browser.post(url, data={"advance": "9 days", "back": f"{UI}/steering"}, timeout=TIMEOUT)
    assert "The clock shows" in moved.text
    assert "Authorization: Bearer $LEADSANDBOX_CONTROL_TOKEN" in Page(moved).text
    after = browser.get(f"{guarded}/__sandbox/clock", timeout=TIMEOUT)
    assert after.json()["now"] > before.json()["now"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
    ],
)
def test_what_another_site_makes_a_browser_send_changes_nothing(tenant: Tenant, headers: dict[str, str]) -> None:
    before = tenant.control("GET", "tenants").json()
    refused = do(tenant, "create-tenant", headers, name=f"{tenant.name}-evil")
    assert refused.status == 403
    assert "A page of" in refused.text
    url = f"{tenant.base}/__sandbox/tenants"
    assert requests.post(url, data="{}", headers=headers, timeout=TIMEOUT).status_code == 403
    names = {item["tenant"] for item in tenant.control("GET", "tenants").json()["tenants"]}
    assert names == {item["tenant"] for item in before["tenants"]}


def test_what_the_pages_own_browser_sends_is_done(tenant: Tenant) -> None:
    own = {"Origin": tenant.base, "Sec-Fetch-Site": "same-origin"}
    assert "The clock shows" in do(tenant, "advance", own, advance="1 s").text
    assert "The clock shows" in do(tenant, "advance", {"Origin": tenant.base}, advance="1 s").text


@pytest.mark.parametrize(
    "back", ["https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "/api/v1/ping", ""]
)
def test_no_form_leads_away_from_the_pages(tenant: Tenant, back: str) -> None:
    url = f"{tenant.base}{UI}/do/freeze"
    answer = requests.post(
        url, params={"tenant": tenant.name}, data={"back": back}, timeout=TIMEOUT, allow_redirects=False
    )
    assert answer.headers["Location"].startswith("/__sandbox/?notice=")


def test_the_theme_is_remembered_by_a_cookie(tenant: Tenant) -> None:
    browser = requests.Session()
    chosen = browser.post(f"{tenant.base}{UI}/theme", data={"theme": "dark", "back": f"{UI}/buyers"}, timeout=TIMEOUT)
    assert 'data-theme="dark"' in chosen.text
    browser.post(f"{tenant.base}{UI}/theme", data={"theme": "<b>"}, timeout=TIMEOUT)
    assert 'data-theme="dark"' in browser.get(f"{tenant.base}{UI}/buyers", timeout=TIMEOUT).text
