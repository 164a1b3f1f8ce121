"""The root of the sandbox file, and the checks that reach across its parts. Each vendor's section is the vendor's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from simulator.contract.sandbox import Section
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
        description="Signs tokens and ping ids. The default is public: it makes the built-in tokens the same everywhere.",
    )
    pingtree: PingtreeSection = PingtreeSection()
    leaddistro: LeadDistroSection = LeadDistroSection()

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
    for place, supplier in enumerate(section.suppliers):
        for n, name in enumerate(supplier.campaigns):
            if name not in campaigns:
                path: Path = ("leaddistro", "suppliers", place, "campaigns", n)
                yield path, f"no campaign has the id {name!r}", campaigns


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
            yield (*path, place, key), f"{name!r} stands more than once", ()
        seen.add(name)
