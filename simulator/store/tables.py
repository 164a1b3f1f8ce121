"""The tables and their indexes. No statement lives here.

Moments are microseconds since the epoch (UTC, the tenant's clock), money is US cents, `*_json` is text.
Except in `meta` the tenant comes first in every key: it is the namespace. A tenant's id has no slash, so that
the rows of its snapshots can lie under `snapshot/<tenant>/<name>`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    event,
    literal_column,
)

SCHEMA_VERSION = 4
"""Each version above 1 has a migration in `migrations/versions` that leads to it."""

SNAPSHOT = "snapshot/"
"""What the namespace of a snapshot's rows begins with."""

LOCKS = 7_301
"""What a name is hashed with to be one of PostgreSQL's advisory locks: other programs have locks of theirs."""

metadata = MetaData()


@event.listens_for(metadata, "before_create")
def _say_where(target: MetaData, connection: Connection, **_: Any) -> None:
    """Give an index's rows on SQLite to the other dialect as well: named in the tables, it would load with them."""
    name = connection.dialect.name
    for index in (index for table in target.tables.values() for index in table.indexes):
        if (where := index.dialect_options["sqlite"]["where"]) is not None:
            index.dialect_options[name]["where"] = where


# SQLite numbers rows by itself only in a column that is spelled INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")
# In the order of its bytes everywhere, whatever the server's language.
_Text = Text().with_variant(Text(collation="C"), "postgresql")


def _key(name: str) -> Column[str]:
    return Column(name, _Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, _Text, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _small_rows(name: str, *columns: Column[Any]) -> Table:
    # One tree in place of two: a row is found by its whole key and little else is in it.
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


meta = _small_rows("meta", _key("key"), _text("value"))

tenants = Table("tenants", metadata, _key("id"), _text("document_json"))

snapshots = Table("snapshots", metadata, _key("tenant"), _key("name"), _text("document_json"))

credentials = _small_rows(
    "credentials",
    _key("tenant"),
    _key("owner"),
    _key("kind"),
    Column("generation", Integer, nullable=False),
    _moment("issued_at"),
    _moment("revoked_at", nullable=True),
)

pings = Table(
    "pings",
    metadata,
    _key("tenant"),
    _key("platform"),
    _key("transaction_id"),
    _text("source_id"),
    _text("campaign_id"),
    _moment("at"),
    _moment("expires_at"),
    Column("accepted", SmallInteger, nullable=False),
    _text("lead_json"),
    _text("bids_json"),
    Column("revision", Integer, nullable=False),
    Column("holding_json", Text),
    _moment("claimed_at", nullable=True),
    Column("answer_json", Text),
    Column("owner", Text),  # the simulator that sells it
)

UNSETTLED = pings.c.claimed_at.is_not(None) & pings.c.answer_json.is_(None)
Index("pings_unsettled", pings.c.tenant, sqlite_where=UNSETTLED)

leads = Table(
    "leads",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("tenant"),
    _text("id"),
    _text("platform"),
    _text("source_id"),
    _text("campaign_id"),
    _text("transaction_id"),
    _moment("at"),
    _text("status"),
    _text("buyer_id"),
    Column("price_cents", BigInteger),
    Column("is_test", SmallInteger, nullable=False),
    Column("is_duplicate", SmallInteger, nullable=False),
    _text("phone"),
    _text("email"),
    _text("values_json"),
    Column("booking_json", Text),  # null in leads of version 2 and before, which nobody can recount
    UniqueConstraint("tenant", "id", name="leads_id"),
)
Index("leads_in_order", leads.c.tenant, leads.c.number)
Index("leads_by_phone", leads.c.tenant, leads.c.phone, leads.c.number)
Index("leads_by_email", leads.c.tenant, leads.c.email, leads.c.number)
# Not of every platform's leads: those of the others would pay for an index that nobody reads.
HAS_TRANSACTION = leads.c.transaction_id != literal_column("''")
Index(
    "leads_by_transaction",
    leads.c.tenant,
    leads.c.transaction_id,
    leads.c.number,
    sqlite_where=HAS_TRANSACTION,
)

persons = _small_rows(
    "persons",
    _key("tenant"),
    _key("scope"),
    _key("key"),
    _text("lead_id"),
    _text("buyer_id"),
    _moment("at"),
)
# Who is sold when he is claimed is found by his keys; the others would pay for the index. It holds the buyer too, or
# SQLite would rather look at every person of the tenant.
UNSOLD = persons.c.buyer_id == literal_column("''")
Index("persons_unsold", persons.c.tenant, persons.c.lead_id, persons.c.buyer_id, sqlite_where=UNSOLD)

events = _small_rows(
    "events",
    _key("tenant"),
    _key("platform"),
    _key("transaction_id"),
    _key("event_id"),
    _moment("at"),
    Column("times", Integer, nullable=False),
)

caps = _small_rows(
    "caps",
    _key("tenant"),
    _key("scope"),
    _key("period"),
    Column("used", BigInteger, nullable=False),
)

turns = _small_rows("turns", _key("tenant"), _key("campaign_id"), Column("n", BigInteger, nullable=False))

redeemed = _small_rows("redeemed", _key("tenant"), _key("token_id"), _moment("at"))

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    _text("tenant"),
    _text("platform"),
    _text("lead_id"),
    _text("buyer_id"),
    _text("event_id"),
    _text("url"),
    Column("body", LargeBinary, nullable=False),
    _text("headers_json"),
    _moment("created_at"),
    _moment("due_at"),
    Column("attempts", Integer, nullable=False),
    _text("status"),
    _moment("delivered_at", nullable=True),
    Column("sender", Text),  # the simulator that is sending it
    # A number is never used twice, so a late answer can't be booked on somebody else's delivery.
    sqlite_autoincrement=True,
)

# Spelled out, not bound: SQLite uses a partial index only where it sees the same literal.
PENDING = outbox.c.status == literal_column("'pending'")
Index("outbox_by_lead", outbox.c.tenant, outbox.c.lead_id, outbox.c.id)
Index(
    "outbox_due",
    outbox.c.tenant,
    outbox.c.due_at,
    outbox.c.id,
    sqlite_where=PENDING,
)
Index(
    "outbox_by_receiver",
    outbox.c.tenant,
    outbox.c.platform,
    outbox.c.buyer_id,
    outbox.c.due_at,
    outbox.c.id,
    sqlite_where=PENDING,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    _text("tenant"),
    Column("delivery_id", _Number, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False),
    Column("n", Integer, nullable=False),
    _moment("at"),
    Column("http_status", Integer),
    Column("latency_ms", Float, nullable=False),
    _text("error"),
)
Index("attempts_by_delivery", attempts.c.delivery_id, attempts.c.id)

# What several simulators of one store must know of each other.

simulators = Table(
    "simulators",
    metadata,
    _key("id"),
    Column("beat", DateTime(timezone=True), nullable=False),  # the server's clock
    Column("seen", BigInteger, nullable=False),  # the newest change that it has taken in
)

changes = Table("changes", metadata, _key("tenant"), Column("version", BigInteger, nullable=False))

faults = Table(
    "faults",
    metadata,
    _key("tenant"),
    _key("id"),
    Column("most", BigInteger),
    Column("fired", BigInteger, nullable=False),
    _text("document_json"),
)
