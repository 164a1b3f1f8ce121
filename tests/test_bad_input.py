"""Whatever is sent, the answer is JSON in the vendor's envelope and a row of its table, and nothing is stored."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.contract.model import Journey, Operation
from simulator.platforms import CONTRACTS
from simulator.wire.refusals import Refusal, sentence
from tests.sandbox import FORM, JSON, Answer, Sandbox, attributes, lead, number, person, running

BUILT_IN = Path(__file__).parent.parent / "fixtures" / "sandboxes" / "built-in.yaml"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The built-in sandbox without rate limits, which would answer before anything else does."""
    config = yaml.safe_load(BUILT_IN.read_text("utf-8"))
    for supplier in config["leaddistro"]["suppliers"]:
        supplier["limits"] = {"ping": None, "ingest": None, "lookup": None}
    with running(tmp_path_factory.mktemp("bad_input"), config) as started:
        yield started
        assert started.log.read_text() == "", "something was logged, as only a failure of our own is"


# --- the operations that take a body --------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """An operation, how a good request to it looks, and the row that words an unreadable body."""

    name: str
    path: str
    unreadable: str
    takes_form: bool

    def auth(self, sandbox: Sandbox) -> dict[str, str]:
        if self.name.startswith("pingtree"):
            return sandbox.source().auth(self.name.rpartition(" ")[2])
        return sandbox.supplier().auth

    def fields(self, sandbox: Sandbox) -> dict[str, Any]:
        """A good lead of somebody new."""
        if self.name == "pingtree ping":
            return attributes()
        if self.name == "pingtree update":
            return {"city": "Oakland", "transaction_id": sandbox.source().form().data["transaction_id"]}
        if self.name == "leaddistro update":
            return {"outcome": "sold", "id": sandbox.supplier().ingest().data["id"]}
        if self.name == "pingtree post":
            return {**person(), "transaction_id": sandbox.source().accepted_ping()}
        return person() if self.name == "pingtree form" else {**sandbox.supplier().ids, **lead()}

    def send(self, sandbox: Sandbox, body: bytes, content_type: str | None = JSON, **headers: str) -> Answer:
        given = {**self.auth(sandbox), **headers}
        return sandbox.call("POST", self.path, given | ({"Content-Type": content_type} if content_type else {}), body)


TARGETS = [
    Target("pingtree ping", "/api/lead/ping/lnk_abc123xyz", "PT-PING-400-INVALID", takes_form=False),
    Target("pingtree post", "/api/lead/post/lnk_abc123xyz", "PT-POST-400-INVALID", takes_form=False),
    Target("pingtree form", "/api/lead/add/lnk_abc123xyz", "PT-FORM-400-INVALID", takes_form=True),
    Target("leaddistro ping", "/api/v1/ping", "LD-PING-400", takes_form=True),
    Target("leaddistro ingest", "/api/v1/ingest", "LD-ING-400-VALIDATION", takes_form=True),
    Target("pingtree update", "/api/lead/update/cmp_9z8y7x6w", "PT-UPD-400-INVALID", takes_form=False),
    Target("leaddistro update", "/api/v1/lead-update", "LD-UPD-400", takes_form=True),
]
each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
each_form = pytest.mark.parametrize(
    "target", [target for target in TARGETS if target.takes_form], ids=lambda target: target.name
)


def unheard(sandbox: Sandbox, send: Callable[[], Answer]) -> Answer:
    """Send what must leave no trace in the store."""
    before = sandbox.stored()
    answer = send()
    assert sandbox.stored() == before
    assert b"Traceback" not in answer.raw
    assert b"<" not in answer.raw
    return answer


def path_of(operation: Operation) -> str:
    ids = {"source_unique_id": "lnk_abc123xyz", "offer_campaign_id": "cmp_9z8y7x6w"}
    return re.sub(r"<(\w+)>", lambda place: ids.get(place[1], "x"), operation.path)


def test_every_operation_with_a_body_is_a_target() -> None:
    """Events are at home in test_pingtree_more.py: several of their rows word an answer in the same way."""
    served = {
        path_of(operation)
        for contract in CONTRACTS.values()
        for operation in contract.operations
        if "POST" in operation.methods and operation.journey is not Journey.EVENT
    }
    assert {target.path for target in TARGETS} == served


@each_target
def test_the_good_request_that_the_others_spoil_is_taken(sandbox: Sandbox, target: Target) -> None:
    assert target.send(sandbox, json.dumps(target.fields(sandbox)).encode()).status in {200, 201}


# --- bodies ---------------------------------------------------------------------------------------------------


def plus(inner: bytes) -> Callable[[bytes], bytes]:
    """Put one more member into a JSON object."""
    return lambda good: good[:-1] + b", " + inner + b"}"


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> Callable[[bytes], bytes]:
    return plus(b'"deep": ' + opening * depth + b"1" + closing * depth)


BODIES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "white space": lambda _: b" \r\n\t ",
    "cut": lambda good: good[:-1],
    "cut in a string": lambda good: good[: len(good) // 2],
    "trailing comma": lambda good: good[:-1] + b",}",
    "two documents": lambda good: good + good,
    "text after it": lambda good: good + b" x",
    "a comment": lambda good: good + b"// hello",
    "single quotes": lambda good: good.replace(b'"', b"'"),
    "an array": lambda _: b"[]",
    "an array of leads": lambda good: b"[" + good + b"]",
    "a string": lambda _: b'"lead"',
    "a doubly encoded lead": lambda good: json.dumps(good.decode()).encode(),
    "a number": lambda _: b"5",
    "null": lambda _: b"null",
    "true": lambda _: b"true",
    "html": lambda _: b"<!doctype html><p>hello",
    "form encoding": lambda good: urlencode(json.loads(good)).encode(),
    "a key twice": plus(b'"x": 1, "x": 2'),
    "a key twice inside": plus(b'"x": [{"y": 1, "y": 1}]'),
    "a key twice with white space": plus(b'"x" \n: 1, "x"\t: 2'),
    "a key twice beside colons in a text": plus(b'"x": "a: \\"b\\": c", "x": 2'),
    "a key twice, once with an object": plus(b'"x": {"y": 1}, "x": 2'),
    "a key twice by escape": plus(b'"x": 1, "\\u0078": 2'),
    "nesting of 65": nested(65),
    "nesting of 250": nested(250),
    "nesting of 300": nested(300),
    "nesting of 1,000": nested(1000),
    "nesting of 10,000": nested(10_000),
    "objects nested 300": nested(300, b'{"a":', b"}"),
    "objects nested 10,000": nested(10_000, b'{"a":', b"}"),
    "open brackets": lambda _: b"[" * 100_000,
    "NaN": plus(b'"loan_amount": NaN'),
    "Infinity": plus(b'"loan_amount": Infinity'),
    "minus Infinity": plus(b'"loan_amount": -Infinity'),
    "400 digits": plus(b'"loan_amount": ' + b"7" * 400),
    "minus 400 digits": plus(b'"loan_amount": -' + b"7" * 400),
    "5,000 digits": plus(b'"loan_amount": ' + b"7" * 5000),
    "1e400": plus(b'"loan_amount": 1e400'),
    "a leading zero": plus(b'"loan_amount": 0123'),
    "a hexadecimal number": plus(b'"loan_amount": 0x1F'),
    "a lone surrogate": plus(b'"note": "\\ud800"'),
    "a lone low surrogate": plus(b'"note": "x\\udc00y"'),
    "a lone surrogate in a key": plus(b'"\\ud800": 1'),
    "an encoded surrogate": plus(b'"note": "\xed\xa0\x80"'),
    "NUL": plus(b'"note": "a\\u0000b"'),
    "NUL in a key": plus(b'"a\\u0000b": 1'),
    "NUL deep inside": plus(b'"note": [[{"a": ["\\u0000"]}]]'),
    "a raw NUL": plus(b'"note": "a\x00b"'),
    "a raw line break": plus(b'"note": "a\nb"'),
    "invalid UTF-8": plus(b'"note": "\xff\xfe"'),
    "overlong UTF-8": plus(b'"note": "\xc0\xaf"'),
    "UTF-16": lambda good: good.decode().encode("utf-16"),
    "a byte order mark": lambda good: b"\xef\xbb\xbf" + good,
    "2 MiB": plus(b'"note": "' + b"x" * 2 * MIB + b'"'),
    "2 MiB of members": plus(b", ".join(b'"k%d": 1' % n for n in range(2 * MIB // 12))),
}


@each_target
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_an_unreadable_body_is_a_400_and_leaves_no_trace(
    sandbox: Sandbox, target: Target, body: Callable[[bytes], bytes]
) -> None:
    bad = body(json.dumps(target.fields(sandbox)).encode())
    answer = unheard(sandbox, lambda: target.send(sandbox, bad))
    assert target.unreadable in answer.rows


@pytest.mark.parametrize("size", [3 * MIB, 15 * MIB])
@pytest.mark.parametrize(("path", "status"), [("/api/v1/ingest", 401), ("/api/v1/nothing", 404), ("/api/lead/x", 401)])
def test_a_huge_body_is_read_to_its_end_so_that_the_answer_arrives(
    sandbox: Sandbox, path: str, status: int, size: int
) -> None:
    answer = unheard(sandbox, lambda: sandbox.call("POST", path, {"Content-Type": JSON}, b"x" * size))
    assert answer.status == status


@each_target
@pytest.mark.parametrize("value", [10**17, 2**63, 2**64, 10**300, -(2**63) - 1, 0.1 + 0.2, 1e308])
def test_a_huge_number_is_a_number(sandbox: Sandbox, target: Target, value: float) -> None:
    fields = {**target.fields(sandbox), "loan_amount": value}
    assert target.send(sandbox, json.dumps(fields).encode()).status in {200, 201}


@pytest.mark.parametrize("value", [2**64, 10**30, -(10**30), 1.5, "9" * 400, [1], {"a": 1}, True])
def test_an_integer_field_takes_integers_of_any_size_and_nothing_else(sandbox: Sandbox, value: Any) -> None:
    answer = TARGETS[0].send(sandbox, json.dumps({**attributes(), "age": value}).encode())
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    assert answer.status == (201 if is_integer else 400)


@each_target
def test_every_documented_field_may_hold_any_kind_of_json(sandbox: Sandbox, target: Target) -> None:
    good = target.fields(sandbox)
    kinds: list[Any] = [0, -1, 1.5, True, [], {}, [[]], {"": None}, "x" * 70_000, "\u202e\U0001f600", "' OR 1=1 --"]
    for name in good:
        for value in kinds:
            answer = target.send(sandbox, json.dumps({**good, name: value}).encode())
            assert answer.status < 500, (name, value)


@each_target
def test_odd_names_are_only_names(sandbox: Sandbox, target: Target) -> None:
    odd = ["", " ", ".", "$where", "__proto__", "constructor", "a" * 10_000, "\u0001", "é", "values_json", "tenant"]
    fields = {**target.fields(sandbox), **dict.fromkeys(odd, "x")}
    assert target.send(sandbox, json.dumps(fields).encode()).status in {200, 201}


# --- content types --------------------------------------------------------------------------------------------

TYPES = [
    None,
    "",
    "text/plain",
    "text/html",
    "text/json",
    "application/xml",
    "application/jsonx",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json, application/json",
    "json",
    "/",
    ";;;",
    "\xff\xfe",
    "a" * 65_000,
]


@each_target
@pytest.mark.parametrize("content_type", TYPES)
def test_a_wrong_or_missing_content_type_is_a_400(sandbox: Sandbox, target: Target, content_type: str | None) -> None:
    good = json.dumps(target.fields(sandbox)).encode()
    answer = unheard(sandbox, lambda: target.send(sandbox, good, content_type))
    assert target.unreadable in answer.rows


@each_target
@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", "APPLICATION/JSON", " application/json "])
def test_a_content_type_may_be_spelled_in_every_way(sandbox: Sandbox, target: Target, content_type: str) -> None:
    good = json.dumps(target.fields(sandbox)).encode()
    assert target.send(sandbox, good, content_type).status in {200, 201}


@each_target
def test_json_that_calls_itself_a_form_is_refused(sandbox: Sandbox, target: Target) -> None:
    good = json.dumps(target.fields(sandbox)).encode()
    assert unheard(sandbox, lambda: target.send(sandbox, good, FORM)).status == 400


# --- forms and queries ----------------------------------------------------------------------------------------

FORMS = {
    "a name twice": "&state=TX&state=TX",
    "NUL": "&note=a%00b",
    "NUL in a name": "&a%00b=x",
    "invalid UTF-8": "&note=%ff%fe",
    "an encoded surrogate": "&note=%ED%A0%80",
    "overlong UTF-8": "&note=%c0%af",
    "1,001 names": "".join(f"&n{n}=1" for n in range(1001)),
}


@each_form
@pytest.mark.parametrize("more", FORMS.values(), ids=list(FORMS))
def test_an_unreadable_form_is_a_400_and_leaves_no_trace(sandbox: Sandbox, target: Target, more: str) -> None:
    bad = urlencode(target.fields(sandbox)) + more
    answer = unheard(sandbox, lambda: target.send(sandbox, bad.encode(), FORM))
    assert target.unreadable in answer.rows


@each_form
@pytest.mark.parametrize("raw", [b"\xff\xfe=1", b"state=\xff", b"\x00", b"%", b"%zz=%zz", b"&&&===", b"=", b"{}"])
def test_garbage_in_a_form_is_a_400(sandbox: Sandbox, target: Target, raw: bytes) -> None:
    assert unheard(sandbox, lambda: target.send(sandbox, raw, FORM)).status == 400


@pytest.mark.parametrize("value", ["%", "%zz", "%4", "+%2B", "a;b"])
def test_percent_signs_that_encode_nothing_are_themselves(sandbox: Sandbox, value: str) -> None:
    body = urlencode(person()).encode() + b"&note=" + value.encode()
    assert TARGETS[2].send(sandbox, body, FORM).status == 201


@pytest.mark.parametrize("more", FORMS.values(), ids=list(FORMS))
def test_an_unreadable_query_is_a_400_and_leaves_no_trace(sandbox: Sandbox, more: str) -> None:
    path = f"/api/lead/add/lnk_abc123xyz?{urlencode(person())}{more}"
    answer = unheard(sandbox, lambda: sandbox.call("GET", path, sandbox.source().auth("form")))
    assert "PT-FORM-400-INVALID" in answer.rows


@pytest.mark.parametrize(
    "query", ["", "?", "?%", "?=&=", "?phone=%00", "?phone=%ff", "?id=1&id=2", "?phone=nobody", "?id="]
)
def test_an_unreadable_or_empty_lookup_is_a_400(sandbox: Sandbox, query: str) -> None:
    answer = unheard(sandbox, lambda: sandbox.call("GET", f"/api/v1/leads/lookup{query}", sandbox.supplier().auth))
    assert answer.rows == {"LD-LOOK-400"}


def test_a_get_form_ignores_its_body(sandbox: Sandbox) -> None:
    path = f"/api/lead/add/lnk_abc123xyz?{urlencode(person())}"
    answer = sandbox.call("GET", path, sandbox.source().auth("form") | {"Content-Type": JSON}, b"{broken")
    assert answer.status == 201


def test_a_form_number_of_400_digits_is_no_number(sandbox: Sandbox) -> None:
    body = urlencode({**person(), "loan_amount": "7" * 400}).encode()
    assert "PT-FORM-400-INVALID" in TARGETS[2].send(sandbox, body, FORM).rows


# --- transport ------------------------------------------------------------------------------------------------


def wire(sandbox: Sandbox, target: Target, head: bytes, body: bytes, *, path: bytes = b"", host: bytes = b"x") -> bytes:
    """Return a request as bytes, with the good credentials and `head` as further header lines."""
    lines = [b"POST %s HTTP/1.1" % (path or target.path.encode()), b"Host: " + host, b"Connection: close"]
    lines += [f"{name}: {value}".encode() for name, value in target.auth(sandbox).items()]
    return b"\r\n".join([*lines, head, b"", body])


def good_body(sandbox: Sandbox, target: Target) -> bytes:
    return json.dumps(target.fields(sandbox)).encode()


def json_head(body: bytes) -> bytes:
    return f"Content-Type: {JSON}\r\nContent-Length: {len(body)}".encode()


@each_target
def test_a_chunked_body_is_a_body(sandbox: Sandbox, target: Target) -> None:
    good = good_body(sandbox, target)
    half = len(good) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (good[:half], good[half:], b""))
    head = f"Content-Type: {JSON}\r\nTransfer-Encoding: chunked".encode()
    answer = sandbox.checked("POST", target.path, sandbox.raw(wire(sandbox, target, head, chunks)))
    assert answer.status in {200, 201}


@each_target
def test_a_chunked_body_that_is_broken_json_is_a_400(sandbox: Sandbox, target: Target) -> None:
    head = f"Content-Type: {JSON}\r\nTransfer-Encoding: chunked".encode()
    request = wire(sandbox, target, head, b"1\r\n{\r\n0\r\n\r\n")
    answer = unheard(sandbox, lambda: sandbox.checked("POST", target.path, sandbox.raw(request)))
    assert target.unreadable in answer.rows


@pytest.mark.parametrize("host", [b"a..b", b"", b"x" * 70 + b".example.com", b"\xff", b"[::1", b"a b", b"u@h:99999"])
def test_no_host_header_gets_an_html_page(sandbox: Sandbox, host: bytes) -> None:
    target = TARGETS[4]
    good = good_body(sandbox, target)
    answer = sandbox.raw(wire(sandbox, target, json_head(good), good, host=host))
    assert answer.headers["content-type"] == JSON
    assert answer.status in {201, 404}
    assert isinstance(answer.body, dict)


@each_target
def test_a_path_that_was_answered_at_a_good_host_is_no_pass_for_another(sandbox: Sandbox, target: Target) -> None:
    good = good_body(sandbox, target)
    for _ in range(2):  # the second one finds what the first one left
        assert sandbox.raw(wire(sandbox, target, json_head(good), good, host=b"sandbox:80")).status != 404
    statuses = [
        sandbox.raw(wire(sandbox, target, json_head(good), good, host=b"a..b")).status,
        sandbox.raw(wire(sandbox, target, json_head(good), good, host=b"a..b")).status,
    ]
    assert statuses == [404, 404]


@each_target
def test_every_method_of_a_path_that_was_answered_is_still_judged(sandbox: Sandbox, target: Target) -> None:
    good = good_body(sandbox, target)
    sandbox.raw(wire(sandbox, target, json_head(good), good))
    wrong = wire(sandbox, target, json_head(good), good).replace(b"POST ", b"DELETE ", 1)
    assert [sandbox.raw(wrong).status for _ in range(2)] == [405, 405]


@each_target
def test_a_call_that_wants_another_protocol_is_answered_alike_before_and_after_its_path_is_known(
    sandbox: Sandbox, target: Target
) -> None:
    good = good_body(sandbox, target)
    host = f"upgrade-{target.name.replace(' ', '-')}".encode()
    wanting = wire(sandbox, target, b"Upgrade: websocket\r\n" + json_head(good), good, host=host)
    wanting = wanting.replace(b"Connection: close", b"Connection: close, Upgrade")
    first = sandbox.raw(wanting)
    sandbox.raw(wire(sandbox, target, json_head(good), good, host=host))
    assert sandbox.raw(wanting).status == first.status == 404


@each_target
@pytest.mark.parametrize(
    "head",
    [b"X-Long: " + b"a" * 65_536, b"\r\n".join(b"X-%d: %s" % (n, b"a" * 800) for n in range(82))],
    ids=["one header", "many headers"],
)
def test_64_kib_of_headers_are_no_hindrance(sandbox: Sandbox, target: Target, head: bytes) -> None:
    good = good_body(sandbox, target)
    request = wire(sandbox, target, head + b"\r\n" + json_head(good), good)
    assert sandbox.checked("POST", target.path, sandbox.raw(request)).status in {200, 201}


@each_target
@pytest.mark.parametrize(
    "secret", ["a" * 65_536, "Bearer " + "a" * 65_536, "\xff\xfe", "'; DROP TABLE leads; --", "\t"]
)
def test_a_credential_of_any_size_and_kind_is_only_wrong(sandbox: Sandbox, target: Target, secret: str) -> None:
    [name] = target.auth(sandbox)
    good = good_body(sandbox, target)
    answer = unheard(sandbox, lambda: target.send(sandbox, good, **{name: secret}))
    assert answer.status == 401


POST = b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\n"
REFUSED = {
    "more than 100 headers": ("LD-ING-400-VALIDATION", POST + b"X-A: b\r\n" * 101 + b"\r\n"),
    "NUL in a header": ("LD-ING-400-VALIDATION", POST + b"X-A: a\x00b\r\n\r\n"),
    "a length that is none": ("LD-ING-400-VALIDATION", POST + b"Content-Length: many\r\n\r\n"),
    "broken chunks": ("LD-ING-400-VALIDATION", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "a query of 70,000 bytes": (
        "PT-FORM-400-INVALID",
        b"GET /api/lead/add/lnk_abc123xyz?a=" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    "a path of 70,000 bytes": ("PT-ANY-404-PATH", b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a raw byte in the path": ("PT-ANY-404-PATH", b"POST /api/\xff HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a space in the path": ("LD-ANY-404-PATH", b"POST /api/v1/in gest HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP": ("PT-ANY-404-PATH", b"hello\r\n\r\n"),
    "CONNECT": ("PT-ANY-404-PATH", b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
}


@pytest.mark.parametrize(("row", "request_bytes"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_request_gets_a_documented_answer_and_is_explained(
    sandbox: Sandbox, row: str, request_bytes: bytes
) -> None:
    answer = unheard(sandbox, lambda: sandbox.raw(request_bytes))
    path = {"PT-FORM": "/api/lead/add/lnk_abc123xyz", "LD-ING-": "/api/v1/ingest", "LD-ANY-": "/api/v1/x"}.get(row[:7])
    assert row in sandbox.checked("POST", path or "/x", answer).rows
    explained = sandbox.sent("GET", f"/__sandbox/requests/{answer.headers['x-sandbox-request-id']}").body
    assert explained["row"]["id"] == row
    assert explained["detail"] in REASONS


REASONS = {sentence(word) for word in Refusal}


def test_the_control_api_says_what_is_no_request_too(sandbox: Sandbox) -> None:
    answer = sandbox.raw(b"GET /__sandbox/clock HTTP/1.1\r\nHost: x\r\nA b\r\n\r\n", "GET")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.body["detail"] in REASONS


def test_no_client_can_say_what_only_the_relay_says(sandbox: Sandbox) -> None:
    good = good_body(sandbox, TARGETS[4])
    said = b"X-Sandbox-Refused: slow_body\r\n" + json_head(good)
    answer = unheard(sandbox, lambda: sandbox.raw(wire(sandbox, TARGETS[4], said, good)))
    assert answer.status == 400
    assert b"is a header of the sandbox" in answer.raw


# --- ids, paths and methods -----------------------------------------------------------------------------------

LONG = "a" * 60_000
UNKNOWN_LINKS = [
    "nobody",
    LONG,
    "%00",
    "a%00b",
    "%ff",
    "%0d%0aX-A:b",
    "é".encode().hex(),
    "%E2%80%AE",
    "%",
    "%zz",
    "..",
    "~",
]


@pytest.mark.parametrize("operation", ["ping", "post", "form"])
@pytest.mark.parametrize("link", UNKNOWN_LINKS)
def test_an_unknown_link_id_is_a_401(sandbox: Sandbox, operation: str, link: str) -> None:
    path = f"/api/lead/{'add' if operation == 'form' else operation}/{link}"
    headers = sandbox.source().auth(operation) | {"Content-Type": JSON}
    answer = unheard(sandbox, lambda: sandbox.call("POST", path, headers, json.dumps(person()).encode()))
    assert answer.rows == {f"PT-{operation.upper()}-401-AUTH"}


@pytest.mark.parametrize("operation", ["ping", "ingest"])
@pytest.mark.parametrize("name", ["flo_campaign_id", "flo_supplier_id"])
@pytest.mark.parametrize("value", ["nobody", LONG, "\u202e", "../..", "campaign_abc123 ", "CAMPAIGN_ABC123"])
def test_an_unknown_campaign_is_a_404_and_an_unknown_supplier_a_403(
    sandbox: Sandbox, operation: str, name: str, value: str
) -> None:
    fields = {**sandbox.supplier().ids, **lead(), name: value}
    answer = unheard(sandbox, lambda: sandbox.supplier().send(operation, fields))
    assert answer.status == (404 if name == "flo_campaign_id" else 403)


PATHS = [
    ("/", "PT"),
    ("/favicon.ico", "PT"),
    ("/static/x", "PT"),
    ("/api", "PT"),
    ("/api/lead", "PT"),
    ("/api/lead/", "PT"),
    ("/api/lead/ping/a/b", "PT"),
    ("/api/lead/ping/a%2Fb", "PT"),
    ("/api/lead/ping/..%2f..%2fetc%2fpasswd", "PT"),
    ("/api/lead/update/cmp_9z8y7x6w/x", "PT"),
    ("/api/click/list/cmp_9z8y7x6w", "PT"),
    ("/api/v1", "LD"),
    ("/api/v1/", "LD"),
    ("/api/v1/lead-updates", "LD"),
    ("/api/v1/ingest/x", "LD"),
    ("/api/v1/Ingest", "LD"),
    ("/api/v1/%00", "LD"),
    ("/api/v1/%ff", "LD"),
    (f"/api/v1/{LONG}", "LD"),
    ("/api/v2/ingest", "PT"),
    ("/api//v1/ingest", "PT"),
    ("/../../etc/passwd", "PT"),
]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "FOO"])
@pytest.mark.parametrize(("path", "prefix"), PATHS, ids=[path[:40] for path, _ in PATHS])
def test_an_unknown_path_is_a_404_in_the_nearest_vendor_s_envelope(
    sandbox: Sandbox, path: str, prefix: str, method: str
) -> None:
    answer = sandbox.call(method, path)
    assert answer.status == 404
    assert method == "HEAD" or answer.rows == {f"{prefix}-ANY-404-PATH"}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "post", "A" * 100])
@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=list(CONTRACTS))
def test_a_wrong_method_is_a_405_on_every_operation(sandbox: Sandbox, contract: Any, method: str) -> None:
    for operation in contract.operations:
        path = path_of(operation)
        answer = unheard(sandbox, lambda path=path: sandbox.call(method, path))  # type: ignore[misc]  # bound now
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) == set(operation.methods)


# --- anything at all ------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
often = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encodable(value: Any) -> bytes | None:
    """JSON without what is tested elsewhere: text that UTF-8 does not know."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None


@each_target
@often
@given(body=st.binary(max_size=200), content_type=st.sampled_from([JSON, FORM, "text/plain"]))
def test_no_bytes_make_the_sandbox_fail(sandbox: Sandbox, target: Target, body: bytes, content_type: str) -> None:
    answer = unheard(sandbox, lambda: target.send(sandbox, body, content_type))
    assert answer.status == 400


@each_target
@often
@given(data=st.data())
def test_no_json_makes_the_sandbox_fail(sandbox: Sandbox, target: Target, data: st.DataObject) -> None:
    good = target.fields(sandbox)
    names = data.draw(st.lists(st.sampled_from(sorted(good)), unique=True, max_size=3))
    changed = good | {name: data.draw(anything) for name in names} | {f"note{number()}": data.draw(anything)}
    body = encodable(changed)
    assert body is None or target.send(sandbox, body).status < 500
