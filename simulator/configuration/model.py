"""The root of the sandbox file, and the checks that reach across its parts. Each vendor's section is the vendor's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from simulator.configuration.composing import parse
from simulator.configuration.document import plain
from simulator.contract.sandbox import NOT_REPEATED, BuyerEntry, Section
from simulator.platforms.leaddistro.sandbox import LeadDistroSection
from simulator.platforms.pingtree.sandbox import PingtreeSection

Path = tuple[str | int, ...]
Finding = tuple[Path, str, Sequence[str]]


class Sandbox(Section):
    """A whole sandbox: what each platform's account holds."""

    timezone: str = Field("America/New_York", description="The account's time zone: caps and hours follow it.")
    secret: str = Field(
        "leadsandbox-secret-known-to-everyone",
        min_length=32,
        json_schema_extra=NOT_REPEATED,
        description="Signs tokens and ping ids. The default is public: the built-in tokens are the same everywhere.",
    )
    pingtree: PingtreeSection = PingtreeSection.left_out()
    leaddistro: LeadDistroSection = LeadDistroSection.left_out()

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"no such time zone: {name!r}") from None
        return name


def findings(sandbox: Sandbox) -> Iterator[Finding]:
    """Return what single values cannot show: ids that repeat, ids that name nothing."""
    yield from _pingtree(sandbox.pingtree)
    yield from _leaddistro(sandbox.leaddistro)


def _pingtree(section: PingtreeSection) -> Iterator[Finding]:
    yield from _repeated(("pingtree", "campaigns"), [item.id for item in section.campaigns], "id")
    yield from _repeated_buyers("pingtree", enumerate([b.id for b in item.buyers] for item in section.campaigns))
    yield from _personas("pingtree", enumerate(item.buyers for item in section.campaigns))
    links: list[tuple[Path, str]] = []
    for place, campaign in enumerate(section.campaigns):
        path: Path = ("pingtree", "campaigns", place)
        yield from _repeated((*path, "events"), [item.id for item in campaign.events], "id")
        yield from _repeated((*path, "offers"), [item.id for item in campaign.offers], "id")
        links += [((*path, "sources", n, "link_id"), item.link_id) for n, item in enumerate(campaign.sources)]
    counted = Counter(name for _, name in links)
    for link_path, name in links:
        if counted[name] > 1:
            yield link_path, f"{name!r} stands more than once; a link id names one source in one campaign", ()


def _leaddistro(section: LeadDistroSection) -> Iterator[Finding]:
    campaigns = [item.id for item in section.campaigns]
    yield from _repeated(("leaddistro", "campaigns"), campaigns, "id")
    yield from _repeated(("leaddistro", "suppliers"), [item.id for item in section.suppliers], "id")
    yield from _repeated(("leaddistro", "suppliers"), [item.api_key for item in section.suppliers], "api_key")
    yield from _repeated_buyers("leaddistro", enumerate([b.id for b in item.buyers] for item in section.campaigns))
    yield from _personas("leaddistro", enumerate(item.buyers for item in section.campaigns))
    for place, supplier in enumerate(section.suppliers):
        for n, name in enumerate(supplier.campaigns):
            if name not in campaigns:
                path: Path = ("leaddistro", "suppliers", place, "campaigns", n)
                yield path, f"no campaign has the id {name!r}", campaigns


def _personas(platform: str, buyers: Iterable[tuple[int, Sequence[BuyerEntry]]]) -> Iterator[Finding]:
    known = _persona_names()
    for place, entries in buyers:
        for n, buyer in enumerate(entries):
            path: Path = (platform, "campaigns", place, "buyers", n, "persona")
            whole = isinstance(buyer.persona, str)
            name = buyer.persona if whole else buyer.persona.get("persona", known[0])  # type: ignore[union-attr]  # a dict
            if isinstance(name, str) and name.strip().lower().replace("-", "_") not in known:
                yield path if whole else (*path, "persona"), f"no persona is called {name!r}", known


@cache
def _persona_names() -> tuple[str, ...]:
    """Return the names alone: what a persona is made of, the mock buyers say themselves at the start."""
    text = files("fixtures").joinpath("buyers", "personas.yaml").read_text(encoding="utf-8")
    return tuple(name for name in plain(parse(text, name="personas.yaml").root))


def _repeated_buyers(platform: str, buyers: Iterable[tuple[int, Iterable[str]]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, names in buyers:
        for n, name in enumerate(names):
            if name in seen:
                path: Path = (platform, "campaigns", place, "buyers", n, "id")
                yield path, f"{name!r} stands more than once; caps and mock buyers go by this id", ()
            seen.add(name)


def _repeated(path: Path, names: Iterable[str], key: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            what = "this key" if key == "api_key" else repr(name)
            yield (*path, place, key), f"{what} stands more than once", ()
        seen.add(name)
