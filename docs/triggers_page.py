"""`docs/triggers.md`: every outcome that can be asked for, from the table of triggers and the contracts."""  # noqa: INP001  a script, not a package

from __future__ import annotations

from collections.abc import Iterable

from simulator.contract.model import ANY_OPERATION
from simulator.platforms import CONTRACTS
from simulator.triggers.table import aliases, behaviours

INTRO = """\
# Triggers

Every outcome on purpose. Neither vendor documents magic values, so all of this is the sandbox's own. This page is
generated from `simulator/triggers/behaviours.toml` and the platforms' `status_codes.toml` by
`python docs/generate.py`; do not edit it.

A request may ask in three places; where several ask, the first of this list wins.

1. **In the lead**, because gateways strip headers: `sandbox:<trigger>` as the value of any field (`sub1`, `adv3`, a
   custom field), `<trigger>@sandbox.test` as the e-mail address, or one of the reserved values below.
2. **By header**: `X-Sandbox-Trigger: <trigger>`.
3. **By an armed fault**: `POST /__sandbox/faults` with `{"trigger": "http_503", "operation": "ingest", "count": 3}`.
   A fault has a scope (`platform`, `operation`, `source`), a `count` or a `probability` with a `seed`, and
   `ttl_seconds` on the sandbox clock. `GET` lists what is armed, `DELETE` disarms.

Upper and lower case are the same, and so are `-` and `_`. A word that is no trigger does nothing; the request's
explanation says so. A refusal is answered at once and leaves nothing behind, and so is an answer about a lead that was
sent before (look-up, fetch, list, update, event, clicks). Any other outcome needs a request that is admitted, and
leaves what it means in the store: a triggered bid can be posted, a triggered sale is a lead.
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = [
        (f"`{row.id}`", f"{contract.title} {row.operation}", str(row.http), row.meaning)
        for contract in CONTRACTS.values()
        for row in contract.rows
        if row.operation != ANY_OPERATION
    ]
    kinds = [
        (f"`{item.name}{'=' + item.example if item.example else ''}`", "wire" if item.wire else "answer", item.meaning)
        for item in behaviours().values()
    ]
    values = [(f"`{item.field}` = `{item.equals}`", f"`{item.trigger}`", item.meaning) for item in aliases()]
    parts = [
        INTRO,
        "## Behaviours\n",
        *_table(("trigger", "changes", "meaning"), kinds),
        "\n## Reserved values\n",
        *_table(("field and value", "trigger", "meaning"), values),
        "\n## Rows\n\nEvery row of the status tables, by its id; a row of another reading than the one in force too.\n",
        *_table(("trigger", "operation", "HTTP", "meaning"), rows),
    ]
    return "\n".join(parts) + "\n"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
