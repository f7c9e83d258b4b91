-- Accounts, keys, the ledger and the request log.
-- Amounts are integer nanodollars, times are milliseconds since 1970 (UTC), request ids are UUIDs of version 7 as 16 bytes.

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- root, admin, user, config.
    role TEXT NOT NULL,
    -- active, disabled.
    status TEXT NOT NULL DEFAULT 'active',
    created_ms INTEGER NOT NULL
) STRICT;

-- The one that pays. `balance_nanos` is the sum of its entries, kept in the transaction that writes them.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL UNIQUE REFERENCES users (id),
    balance_nanos INTEGER NOT NULL DEFAULT 0,
    unlimited INTEGER NOT NULL DEFAULT 0 CHECK (unlimited IN (0, 1))
) STRICT;

CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    -- 'config': synchronised from the configuration file at start and at each reload.
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    -- SHA-256 of the secret without its sk-.
    hash BLOB NOT NULL UNIQUE,
    -- active, disabled, gone (not in the file any more).
    status TEXT NOT NULL DEFAULT 'active',
    -- NULL: unlimited.
    spend_limit_nanos INTEGER,
    spent_nanos INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (source, user_id, name);

-- Append-only: triggers refuse change and removal.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    -- Whose request it was: what a key has spent outlives the request log.
    key_id INTEGER REFERENCES api_keys (id),
    -- settlement, top_up, refund, redemption, adjustment.
    kind TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL,
    -- Says that it was done: the same operation twice is one entry. A settlement's is its request's id.
    operation BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT,
    UNIQUE (kind, operation)
) STRICT;
CREATE INDEX entries_by_key ON entries (key_id, amount_nanos) WHERE key_id IS NOT NULL;
CREATE INDEX entries_by_account ON entries (account_id, id, amount_nanos);
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- Every request of a known key that has ended. Strangers' are not written: they must not be able to fill the disk.
CREATE TABLE requests (
    id BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    account_id INTEGER,
    key_id INTEGER,
    dialect TEXT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    channel TEXT,
    -- JSON: [{"channel", "started_ms", "took_ms", "status", "fault"}].
    attempts TEXT NOT NULL,
    ending TEXT NOT NULL,
    status INTEGER NOT NULL,
    cause TEXT,
    -- JSON object of the buckets that are not nought; NULL: not known.
    usage TEXT,
    estimated INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    hold_nanos INTEGER NOT NULL DEFAULT 0,
    charge_nanos INTEGER NOT NULL DEFAULT 0,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,
    first_byte_ms INTEGER,
    total_ms INTEGER NOT NULL,
    upstream_request_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_key ON requests (key_id, id);
CREATE INDEX requests_by_account ON requests (account_id, id);
CREATE INDEX requests_by_model ON requests (model, id);
CREATE INDEX requests_by_channel ON requests (channel, id);
CREATE INDEX requests_by_ending ON requests (ending, id);

-- Requests that were admitted and have not ended, from one batch window after their admission on: what is still here at
-- the next start was lost in a crash.
CREATE TABLE open_requests (
    id BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    dialect TEXT NOT NULL,
    operation TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    hold_nanos INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
