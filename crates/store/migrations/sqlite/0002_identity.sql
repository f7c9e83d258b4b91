-- Who may call, sign in and manage; channels and prices kept by the admin; what was changed, and by whom.
-- JSON columns hold lists and objects that nothing is looked up by. Hashes are SHA-256 of a random secret.

CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- What its users pay of the price, in millionths.
    factor_millionths INTEGER NOT NULL DEFAULT 1000000 CHECK (factor_millionths >= 0),
    -- JSON: patterns of models, names of channels; an empty list allows all.
    models TEXT NOT NULL DEFAULT '[]',
    channels TEXT NOT NULL DEFAULT '[]',
    -- For the whole group; NULL: no limit.
    requests_per_minute INTEGER,
    tokens_per_minute INTEGER,
    max_in_flight INTEGER,
    created_ms INTEGER NOT NULL
) STRICT;
INSERT INTO groups (id, name, created_ms) VALUES (1, 'default', 0);

ALTER TABLE users ADD COLUMN group_id INTEGER NOT NULL DEFAULT 1 REFERENCES groups (id);
ALTER TABLE users ADD COLUMN email TEXT;
ALTER TABLE users ADD COLUMN email_verified_ms INTEGER;
-- argon2id in its own notation; NULL: cannot sign in by password.
ALTER TABLE users ADD COLUMN password TEXT;
-- The shared secret of the second factor, sealed; NULL: none.
ALTER TABLE users ADD COLUMN totp BLOB;
-- One that was shown and not confirmed by a code yet, sealed.
ALTER TABLE users ADD COLUMN totp_pending BLOB;
-- The last time step that was used to sign in: none is taken twice.
ALTER TABLE users ADD COLUMN totp_step INTEGER;
-- Issuer and subject of an OpenID provider.
ALTER TABLE users ADD COLUMN oidc_issuer TEXT;
ALTER TABLE users ADD COLUMN oidc_subject TEXT;
ALTER TABLE users ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE users ADD COLUMN tokens_per_minute INTEGER;
ALTER TABLE users ADD COLUMN max_in_flight INTEGER;
CREATE UNIQUE INDEX users_by_email ON users (lower(email)) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX users_by_oidc ON users (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL;
CREATE INDEX users_by_group ON users (group_id);

-- Sum of an account's entries that are no settlements: with the balance it tells what was spent.
ALTER TABLE accounts ADD COLUMN paid_nanos INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET paid_nanos = (
    SELECT coalesce(sum(e.amount_nanos), 0) FROM entries e WHERE e.account_id = accounts.id AND e.kind <> 'settlement'
);

-- The request that a refund is of.
ALTER TABLE entries ADD COLUMN request_id BLOB;
CREATE INDEX entries_by_request ON entries (request_id, amount_nanos) WHERE request_id IS NOT NULL;

-- What is shown of a secret: its beginning and its last four characters.
ALTER TABLE api_keys ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN last4 TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN expires_ms INTEGER;
-- day, week, month (of UTC); NULL: the spend limit is for good.
ALTER TABLE api_keys ADD COLUMN reset_period TEXT;
-- When the period began, and what had been spent before it.
ALTER TABLE api_keys ADD COLUMN period_start_ms INTEGER;
ALTER TABLE api_keys ADD COLUMN spent_before_nanos INTEGER NOT NULL DEFAULT 0;
-- JSON: patterns of models; addresses and networks; an empty list allows all.
ALTER TABLE api_keys ADD COLUMN models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN tokens_per_minute INTEGER;
ALTER TABLE api_keys ADD COLUMN max_in_flight INTEGER;
-- Its output is limited to what it can pay: no overrun.
ALTER TABLE api_keys ADD COLUMN strict INTEGER NOT NULL DEFAULT 0 CHECK (strict IN (0, 1));
-- The secret before a rotation, and until when it is good.
ALTER TABLE api_keys ADD COLUMN previous_hash BLOB;
ALTER TABLE api_keys ADD COLUMN previous_until_ms INTEGER;
CREATE UNIQUE INDEX api_keys_by_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;
CREATE INDEX api_keys_by_user ON api_keys (user_id);

CREATE TABLE channels (
    id INTEGER PRIMARY KEY,
    -- 'config': synchronised from the configuration file, read-only; 'admin'.
    source TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    -- active, disabled, gone (not in the file any more, or deleted).
    status TEXT NOT NULL DEFAULT 'active',
    -- JSON: a [[channel]] block without its name and without what is sealed.
    definition TEXT NOT NULL,
    -- JSON object {secrets, headers, proxy}, encrypted; NULL for channels of the file, whose secrets stay in it.
    sealed BLOB,
    -- What is charged for its answers, in millionths of the price.
    discount_millionths INTEGER NOT NULL DEFAULT 1000000 CHECK (discount_millionths >= 0),
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE prices (
    id INTEGER PRIMARY KEY,
    -- `*` at the end matches any rest.
    model TEXT NOT NULL,
    valid_from_ms INTEGER NOT NULL,
    -- admin (set by hand, goes before the configuration file's), list (`sluice prices update`, goes before the bundled list).
    source TEXT NOT NULL,
    -- JSON: a [[price]] block without its model.
    rates TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (source, model, valid_from_ms)
) STRICT;

CREATE TABLE codes (
    id INTEGER PRIMARY KEY,
    batch TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    last4 TEXT NOT NULL,
    value_nanos INTEGER NOT NULL CHECK (value_nanos > 0),
    -- active, void, redeemed.
    status TEXT NOT NULL DEFAULT 'active',
    expires_ms INTEGER,
    redeemed_by INTEGER REFERENCES users (id),
    redeemed_ms INTEGER,
    -- The operation that did it: the same twice is once.
    redeemed_operation BLOB,
    created_by INTEGER REFERENCES users (id),
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX codes_by_batch ON codes (batch, id);

CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
-- Whoever changes these, and however: what was signed in under the old ones is signed out, and links that were handed out
-- under them lead nowhere. A link that an admin made for a user must not open the way to the admin whom that user became.
CREATE TRIGGER sessions_end_with_what_they_stand_on AFTER UPDATE OF password, role, status ON users
WHEN OLD.password IS NOT NEW.password OR OLD.role <> NEW.role OR OLD.status <> NEW.status
BEGIN
    DELETE FROM sessions WHERE user_id = NEW.id;
    DELETE FROM one_time_tokens WHERE user_id = NEW.id AND purpose IN ('password_reset', 'email');
END;
-- A token acts with its user's role: one that was made under another role must not gain by it.
CREATE TRIGGER access_tokens_end_with_the_role AFTER UPDATE OF role ON users WHEN OLD.role <> NEW.role
BEGIN DELETE FROM access_tokens WHERE user_id = NEW.id; END;
-- Whoever changes an address: it is not proved any more, and links that went to the one before are good no more.
CREATE TRIGGER a_changed_address_is_not_proved AFTER UPDATE OF email ON users
WHEN OLD.email IS NOT NEW.email
BEGIN
    UPDATE users SET email_verified_ms = NULL WHERE id = NEW.id AND email_verified_ms IS OLD.email_verified_ms;
    DELETE FROM one_time_tokens WHERE user_id = NEW.id AND purpose IN ('password_reset', 'email');
END;

-- Personal access tokens for the admin API.
CREATE TABLE access_tokens (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    last4 TEXT NOT NULL,
    -- JSON list.
    scopes TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms INTEGER
) STRICT;
CREATE INDEX access_tokens_by_user ON access_tokens (user_id);

-- What is good once. Purposes: setup, invitation, sign_up, email, password_reset, recovery_code.
CREATE TABLE one_time_tokens (
    hash BLOB PRIMARY KEY,
    purpose TEXT NOT NULL,
    user_id INTEGER REFERENCES users (id),
    email TEXT,
    -- Of an invitation: what whoever comes by it becomes.
    role TEXT,
    group_id INTEGER REFERENCES groups (id),
    -- It was sent to the address and shown to nobody: who has it reads that address.
    by_mail INTEGER NOT NULL DEFAULT 0 CHECK (by_mail IN (0, 1)),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_tokens_by_user ON one_time_tokens (user_id, purpose) WHERE user_id IS NOT NULL;

-- Every change that was made by hand. Append-only.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    -- NULL: the operator at the machine itself.
    actor_id INTEGER REFERENCES users (id),
    actor TEXT NOT NULL,
    -- session, token, local, setup.
    via TEXT NOT NULL,
    -- create, update, delete, reveal, sign_in …
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    object_id TEXT NOT NULL,
    -- JSON, without secrets; NULL: there was, or is, none.
    before TEXT,
    after TEXT,
    address TEXT,
    request_id BLOB
) STRICT;
CREATE INDEX audit_by_object ON audit (object, object_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    -- JSON.
    value TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

