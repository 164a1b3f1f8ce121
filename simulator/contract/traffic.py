"""What integrators sent to one platform, oldest first, and what belongs together. No duty lives here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from simulator.contract.account import Account, Source
from simulator.contract.duty import Dialect
from simulator.contract.model import Contract
from simulator.contract.sent import Attempt, Sent, read
from simulator.routing.agreed import Terms
from simulator.routing.fields import text_of, us_digits


class History:
    """Everything that one tenant's integrators sent to one platform, oldest first, and what it belongs to."""

    def __init__(
        self,
        contract: Contract,
        dialect: Dialect,
        account: Account,
        entries: Iterable[Mapping[str, Any]],
        attempts: Iterable[Attempt] = (),
    ) -> None:
        self.contract = contract
        self.dialect = dialect
        self.account = account
        self.attempts = tuple(attempts)
        journeys = {item.name: item.journey for item in contract.operations}
        self.sent = sorted((read(entry, journeys) for entry in entries), key=lambda item: item.began)
        self.pings = [item for item in self.sent if item.is_ping]
        self.submissions = [item for item in self.sent if item.is_submission]
        self.leads = [item for item in self.sent if item.is_ping or item.is_submission]
        self.is_masked = any(item.masked for item in self.leads)
        self._sources: dict[str, Source] = {item.id: item for item in account.sources.values()}
        self._named: dict[tuple[str, int], tuple[frozenset[str], frozenset[str]]] = {}
        self._persons: dict[str, tuple[str, ...]] = {}
        self._ping_of, self._posted = self._linked()

    # --- what a request belongs to ------------------------------------------------------------------------

    def terms(self, sent: Sent) -> Terms | None:
        source = self._sources.get(sent.source_id)
        if source is None:
            return None
        if self.dialect.campaign:
            return source.terms.get(sent.text(self.dialect.campaign))
        return next(iter(source.terms.values()), None)

    def scope(self, sent: Sent) -> str:
        """Return the campaign, in which one person should come once."""
        if self.dialect.campaign:
            return sent.text(self.dialect.campaign)
        terms = self.terms(sent)
        return terms.campaign_id if terms else ""

    def lifetime(self, sent: Sent) -> timedelta:
        terms = self.terms(sent)
        return terms.ping_lifetime if terms else timedelta.max

    def documented(self, operation: str) -> frozenset[str]:
        """Return the fields that the vendor documents for an operation."""
        return frozenset(self.contract.schemas.get(operation, {}).get("request", {}).get("properties", {}))

    def known(self, sent: Sent) -> frozenset[str]:
        """Return every field that the posting specification names."""
        return self._specified(sent)[0]

    def required(self, sent: Sent) -> frozenset[str]:
        return self._specified(sent)[1]

    def _specified(self, sent: Sent) -> tuple[frozenset[str], frozenset[str]]:
        terms = self.terms(sent)
        key = (sent.operation, id(terms))
        if key not in self._named:
            fields = terms.fields if terms else ()
            must = self.contract.schemas[sent.operation]["request"].get("required", ())
            known = self.documented(sent.operation) | {item.name for item in fields}
            required = {item.name for item in fields if sent.operation in item.required}
            self._named[key] = (known, frozenset(must) | required)
        return self._named[key]

    def persons(self, sent: Sent) -> tuple[str, ...]:
        """Return what tells the person of a lead, normalised as the sandbox does: phone digits, lower-case e-mail."""
        if sent.id not in self._persons:
            phone, email = us_digits(sent.text(self.dialect.phone)), sent.text("email").lower()
            self._persons[sent.id] = tuple(item for item in (phone, email) if item)
        return self._persons[sent.id]

    # --- which ping a post goes with ----------------------------------------------------------------------

    def issued(self, ping: Sent) -> str:
        """Return the id that a ping's answer gave for the post; "" when none was given."""
        inner = ping.answer.get("data")
        found = ping.answer.get(self.dialect.issued) or (
            inner.get(self.dialect.issued) if isinstance(inner, dict) else ""
        )
        return found if isinstance(found, str) else ""

    def link(self, post: Sent) -> str:
        """Return the id by which a post names its ping, exactly as it was sent."""
        return text_of(post.values.get(self.dialect.link))

    def ping_of(self, post: Sent) -> Sent | None:
        """Return the ping that a post names: the last one before it that this id was given to."""
        return self._ping_of.get(post.id)

    def was_posted(self, ping: Sent) -> bool:
        return self.issued(ping) in self._posted

    @cached_property
    def issued_ids(self) -> dict[str, Sent]:
        """The accepted pings by the id that they were answered with; the first one of each id."""
        accepted = (ping for ping in reversed(self.pings) if ping.is_accepted_ping)
        return {name: ping for ping in accepted if (name := self.issued(ping))}

    def _linked(self) -> tuple[dict[str, Sent], set[str]]:
        latest: dict[str, Sent] = {}
        found: dict[str, Sent] = {}
        posted: set[str] = set()
        for item in self.leads:
            if item.is_ping and (name := self.issued(item)):
                latest[name] = item
            elif item.is_submission and (name := self.link(item)):
                posted.add(name)
                if name in latest:
                    found[item.id] = latest[name]
        return found, posted
