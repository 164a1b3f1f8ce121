"""docs/duties.md: the duties of integrators, from the vendors' own catalogues."""  # noqa: INP001  a script's neighbour, not a package

from __future__ import annotations

from collections.abc import Iterator

from schema_words import table

from simulator.contract.duty import Duty
from simulator.contract.model import Contract
from simulator.platforms import CONTRACTS

_INTRO = """\
# Duties

The sandbox watches what you send and grades it: not only single requests, but what follows what. This page is
generated from the vendors' `duties.toml` by `python docs/generate.py`; do not edit it.

```
leadsandbox audit                                   # the scorecard of the default tenant
leadsandbox audit --tenant ci --require D10,D42 --fail-on warn --junit duties.xml
curl http://127.0.0.1:8080/__sandbox/audit?format=html
```

A duty's verdict is **pass** (it was exercised, and met), **fail**, **warn** or **info** (the worst of its findings),
**not seen** (nothing exercised it, which is no pass; `--require` makes it fail) or **off**. A finding names its
requests; `leadsandbox explain ID` says more of each. An [event stream](control-journal.md#events) tells findings as
they come.

Another severity is set in the [sandbox file](configuration.md#pingtreeseverities), for each platform on its own:

```yaml
pingtree:
  severities: {D02: fail, D64: off}
```

The scorecard, `audit`, the pytest plugin, `rehearse --config` and live findings go by it. `--severity D05:off`, or
`?severity=D05:off`, overrides the file for one scorecard, and at both platforms.

What a duty rests on is never left open: **documented** is what a page of this vendor says, **inferred** is our
conclusion from such a page, **practice** is what other platforms and other people's integrations teach, where this
vendor is silent. Numbers that no page gives (how soon is too soon, how many are enough) are the sandbox's own.

Good to know:

- Time is sandbox time, so moving the clock shows expiry. Real time counts where nothing else can be meant:
  Retry-After, what is open at the same time, pauses before a retry (there whichever clock is further).
- One request has one cause where several duties would fit: a lead that comes twice is D48 (side by side), D46 (after no
  answer), D18 or D50 (with a used ping) or D47 (the same person), the first that fits.
- What a trigger or an armed fault wished for is not held against you; what you do after it is.
- With `--mask-bodies` the journal keeps no values, and duties marked "values" can't be passed.
- The journal is bounded. What has left it is not graded, and the scorecard says how many requests that were.
- A request whose link id or key belongs to nobody is in the journal of the tenant `default`.
"""


def page() -> str:
    """Return the page as Markdown, two tables per platform."""
    return "\n".join([_INTRO, *(line for contract in CONTRACTS.values() for line in _platform(contract))])


def _platform(contract: Contract) -> Iterator[str]:
    if contract.duties is None:
        return
    seen = [duty for duty in contract.duties.catalogue if not duty.unseen]
    unseen = [duty for duty in contract.duties.catalogue if duty.unseen]
    yield from (f"## {contract.title}", "")
    yield from table(("duty", "severity", "rule", "what to do", "seen in", "rests on"), map(_row, seen))
    yield ""
    if unseen:
        yield from (f"### {contract.title}: what traffic cannot show", "")
        yield from table(("duty", "severity", "rule", "why not", "rests on"), map(_unseen_row, unseen))
        yield ""


def _row(duty: Duty) -> list[str]:
    seen_in = f"{duty.exercised_by} (values)" if duty.needs_values else duty.exercised_by
    return [duty.id, duty.severity.value, duty.rule, duty.advice, seen_in, _basis(duty)]


def _unseen_row(duty: Duty) -> list[str]:
    return [duty.id, duty.severity.value, duty.rule, duty.unseen, _basis(duty)]


def _basis(duty: Duty) -> str:
    return f"{duty.basis.value}: {'; '.join(duty.source)}"
