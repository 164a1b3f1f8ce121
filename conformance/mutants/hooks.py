"""Mutants that deliver bad webhooks: unsigned, altered, doubled, unmarked. They sit between platform and receiver."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from conformance.control import Control
from conformance.journeys.webhooks import SECRET
from conformance.mutants.model import Ask, Got, Made, Mutant, Scene, Sent, Tampering, harmless
from conformance.mutants.proxy import Proxy, Upstream
from conformance.mutants.recognising import is_row, rows, values_of
from conformance.mutants.repairing import with_values
from simulator.platforms.leaddistro.signing import EVENT_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

_SIGNED, _TEST, _RETRIED = "INV-WEBHOOK-SIGNED", "INV-WEBHOOK-TEST", "INV-WEBHOOK-RETRIED"
_TIMESTAMP, _NOT_SOLD = "INV-WEBHOOK-TIMESTAMP", "INV-WEBHOOK-NOT-SOLD"

_Change: TypeAlias = tuple[str, str, tuple[str, ...], Any]
"""A mutant's name, what it does, what it breaks, and how it changes each delivery."""


@dataclass
class TappedControl(Control):
    """A control API whose tenants deliver through a proxy, where a mutant can sit."""

    hook: Proxy | None = None

    def create_tenant(self, sandbox: dict[str, Any]) -> dict[str, Any]:
        tapped = copy.deepcopy(sandbox)
        for campaign in tapped.get("leaddistro", {}).get("campaigns", ()):
            for buyer in campaign.get("buyers", ()):
                self._tap(buyer.get("webhook"))
        return super().create_tenant(tapped)

    def _tap(self, webhook: dict[str, Any] | None) -> None:
        if webhook and self.hook:
            address = urlsplit(webhook["url"])
            self.hook.ask.close()
            self.hook.ask = Upstream(f"{address.scheme}://{address.netloc}")
            webhook["url"] = self.hook.base_url + address.path


def mutants() -> Iterator[Mutant]:
    yield from (_mutant(name, says, breaks, _each(change)) for name, says, breaks, change in (*_signing(), *_content()))
    yield from _repeating()
    says = "a lead that was not sold is delivered"
    yield Mutant("LD-HOOK/not-sold", "webhook", "leaddistro", says, (_NOT_SOLD,), _sold_in_silence)


def _signing() -> Iterator[_Change]:
    """Return bad signatures, and bodies that are changed after signing."""
    once = (_SIGNED,)
    yield "zeros", "the signature is made of zeros", (_SIGNED, _RETRIED), _with_signature(lambda _body: "0" * 64)
    yield "wrong-key", "the signature is of another key", once, _with_signature(lambda body: sign("other", body))
    yield "reserialised", "the signature is of the body written anew", once, _with_signature(_of_rewritten)
    upper = _with_signature(lambda body: sign(SECRET, body).upper())
    yield "upper-case", "the signature is in upper case", once, upper
    prefixed = _with_signature(lambda body: f"sha256={sign(SECRET, body)}")
    yield "prefixed", "the signature has a prefix", once, prefixed
    yield "unsigned", "there is no signature", (_SIGNED, _RETRIED), _unsigned
    yield "altered", "a byte is changed after signing", once, lambda sent: replace(sent, body=sent.body + b" ")
    body_alone = _with_signature(lambda body: sign(SECRET, body))
    yield "no-timestamp", "there is no timestamp", (_TIMESTAMP,), lambda sent: _without(sent, TIMESTAMP_HEADER)
    yield "body-alone", "the timestamp is not signed", (_TIMESTAMP,), body_alone
    late = "the timestamp is not the one that was signed"
    yield "late", late, (_TIMESTAMP,), lambda sent: sent.with_header(TIMESTAMP_HEADER, "1")


def _content() -> Iterator[_Change]:
    """Return webhooks that are signed well and say what is not so."""
    yield "flag-dropped", "is_test is not there", (_SIGNED, _TEST), _signed_anew("is_test", None)
    yield "always-live", "is_test is always false", (_TEST,), _signed_anew("is_test", False)
    yield "always-test", "is_test is always true", (_SIGNED,), _signed_anew("is_test", True)
    yield "other-lead", "the webhook is of another lead", (_SIGNED,), _signed_anew("id", "somebody-else")
    yield "no-email", "the lead is not complete", (_SIGNED,), _signed_anew("email", None)


def _repeating() -> Iterator[Mutant]:
    yield _mutant("doubled", "every webhook comes twice", (_SIGNED,), _doubled)
    yield _mutant("not-retried", "a failed webhook is not tried again", (_RETRIED,), _satisfied)
    other_event = _retry(lambda sent: sent.with_header(EVENT_ID_HEADER, "new"))
    yield _mutant("other-event", "a retry is another event", (_RETRIED,), other_event)
    yield _mutant("other-bytes", "a retry has other bytes", (_RETRIED,), _retry(_signed_anew("retry", value=True)))
    yield _mutant("retry-unsigned", "a retry is not signed", (_RETRIED,), _retry(_unsigned))


def _mutant(name: str, says: str, breaks: tuple[str, ...], hook: Made) -> Mutant:
    return Mutant(f"LD-HOOK/{name}", "webhook", "leaddistro", says, breaks, harmless, hook=hook)


def _each(change: Any) -> Made:
    return lambda _scene: lambda sent, ask: ask(change(sent))


def _with_signature(signature: Any) -> Any:
    return lambda sent: sent.with_header(SIGNATURE_HEADER, signature(sent.body))


def _of_rewritten(body: bytes) -> str:
    return sign(SECRET, json.dumps(json.loads(body)).encode())


def _unsigned(sent: Sent) -> Sent:
    return _without(sent, SIGNATURE_HEADER)


def _without(sent: Sent, name: str) -> Sent:
    return replace(sent, headers=tuple(item for item in sent.headers if item[0].lower() != name.lower()))


def _signed_anew(key: str, value: Any) -> Any:
    """Change one key of the body, None drops it, and sign what came of it."""

    def change(sent: Sent) -> Sent:
        document = {**json.loads(sent.body), key: value}
        body = json.dumps({name: item for name, item in document.items() if name != key or item is not None}).encode()
        return replace(sent, body=body).with_header(SIGNATURE_HEADER, sign(SECRET, body))

    return change


def _doubled(_scene: Scene) -> Tampering:
    def tamper(sent: Sent, ask: Ask) -> Got:
        ask(sent)
        return ask(sent)

    return tamper


def _satisfied(_scene: Scene) -> Tampering:
    """Tell the platform that all went well, whatever the receiver said."""
    return lambda sent, ask: replace(ask(sent), status=200)


def _retry(change: Any) -> Made:
    """Change every delivery but the first of each body."""

    def made(_scene: Scene) -> Tampering:
        seen: set[bytes] = set()

        def tamper(sent: Sent, ask: Ask) -> Got:
            again = sent.body in seen
            seen.add(sent.body)
            return ask(change(sent) if again else sent)

        return tamper

    return made


def _sold_in_silence(_scene: Scene) -> Tampering:
    """Sell an unmatched lead after all, and say that it was not."""

    def tamper(sent: Sent, ask: Ask) -> Got:
        got = ask(sent)
        if is_row(rows()["LD-ING-200-UNMATCHED"], sent, got):
            ask(
                with_values(
                    sent, {**values_of(sent), "state": "TX", "phone": "2125550188", "email": "silent@example.com"}
                )
            )
        return got

    return tamper
