-- A store of version 3, as a release of that version made it.
CREATE TABLE caps (
    tenant TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    period TEXT COLLATE "C" NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (tenant, scope, period)
);
CREATE TABLE changes (
    tenant TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant)
);
CREATE TABLE credentials (
    tenant TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    generation INTEGER NOT NULL,
    issued_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, owner, kind)
);
CREATE TABLE events (
    tenant TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (tenant, platform, transaction_id, event_id)
);
CREATE TABLE faults (
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    most BIGINT,
    fired BIGINT NOT NULL,
    document_json TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE TABLE leads (
    number BIGSERIAL NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    campaign_id TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    buyer_id TEXT COLLATE "C" NOT NULL,
    price_cents BIGINT,
    is_test SMALLINT NOT NULL,
    is_duplicate SMALLINT NOT NULL,
    phone TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    values_json TEXT COLLATE "C" NOT NULL,
    booking_json TEXT,
    PRIMARY KEY (number),
    CONSTRAINT leads_id UNIQUE (tenant, id)
);
CREATE INDEX leads_by_email ON leads (tenant, email, number);
CREATE INDEX leads_by_phone ON leads (tenant, phone, number);
CREATE INDEX leads_by_transaction ON leads (tenant, transaction_id, number) WHERE transaction_id != '';
CREATE INDEX leads_in_order ON leads (tenant, number);
CREATE TABLE meta (
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key)
);
CREATE TABLE outbox (
    id BIGSERIAL NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    lead_id TEXT COLLATE "C" NOT NULL,
    buyer_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    headers_json TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    delivered_at BIGINT,
    sender TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX outbox_by_lead ON outbox (tenant, lead_id, id);
CREATE INDEX outbox_by_receiver ON outbox (tenant, platform, buyer_id, due_at, id) WHERE status = 'pending';
CREATE INDEX outbox_due ON outbox (tenant, due_at, id) WHERE status = 'pending';
CREATE TABLE persons (
    tenant TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    lead_id TEXT COLLATE "C" NOT NULL,
    buyer_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, scope, key)
);
CREATE INDEX persons_by_lead ON persons (tenant, lead_id);
CREATE TABLE pings (
    tenant TEXT COLLATE "C" NOT NULL,
    platform TEXT COLLATE "C" NOT NULL,
    transaction_id TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    campaign_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted SMALLINT NOT NULL,
    lead_json TEXT COLLATE "C" NOT NULL,
    bids_json TEXT COLLATE "C" NOT NULL,
    revision INTEGER NOT NULL,
    holding_json TEXT,
    claimed_at BIGINT,
    answer_json TEXT,
    owner TEXT,
    PRIMARY KEY (tenant, platform, transaction_id)
);
CREATE INDEX pings_unsettled ON pings (tenant) WHERE claimed_at IS NOT NULL AND answer_json IS NULL;
CREATE TABLE redeemed (
    tenant TEXT COLLATE "C" NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, token_id)
);
CREATE TABLE simulators (
    id TEXT COLLATE "C" NOT NULL,
    beat TIMESTAMP WITH TIME ZONE NOT NULL,
    seen BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE snapshots (
    tenant TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    document_json TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE TABLE tenants (
    id TEXT COLLATE "C" NOT NULL,
    document_json TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE turns (
    tenant TEXT COLLATE "C" NOT NULL,
    campaign_id TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (tenant, campaign_id)
);
CREATE TABLE attempts (
    id BIGSERIAL NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    delivery_id BIGINT NOT NULL,
    n INTEGER NOT NULL,
    at BIGINT NOT NULL,
    http_status INTEGER,
    latency_ms FLOAT NOT NULL,
    error TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(delivery_id) REFERENCES outbox (id) ON DELETE CASCADE
);
CREATE INDEX attempts_by_delivery ON attempts (delivery_id, id);
INSERT INTO meta (key, value) VALUES ('schema', '3');
INSERT INTO leads (tenant, id, platform, source_id, campaign_id, transaction_id, at, status, buyer_id, price_cents, is_test, is_duplicate, phone, email, values_json) VALUES ('t1', 'lead_1', 'leaddistro', 'supplier_1', 'campaign_1', '', 1767616215250001, 'ACCEPTED', 'buyer_1', 4550, 0, 0, '2125550123', 'ann@example.com', '{"first_name":"Ann"}');
