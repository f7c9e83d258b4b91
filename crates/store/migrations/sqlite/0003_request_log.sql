-- The request log is searched by what people ask for, and summed by the hour.

-- Every index ends with the id, which is the time: what is found comes newest first, and nothing is sorted. The ending
-- stands before it, so that "this key's failures" is one look-up for each ending; without an ending asked for, the few
-- that there are are read side by side. Likewise with the models of an account. Fewer indexes, each good for more: those of
-- keys and accounts are written to at another place for every request.
DROP INDEX requests_by_key;
DROP INDEX requests_by_account;
DROP INDEX requests_by_model;
DROP INDEX requests_by_channel;
CREATE INDEX requests_by_key ON requests (key_id, ending, id);
CREATE INDEX requests_by_account ON requests (account_id, model, ending, id);
CREATE INDEX requests_by_model ON requests (model, ending, id);
CREATE INDEX requests_by_channel ON requests (channel, ending, id);
-- What a key has spent is checked by one walk through all entries; nothing else looked there.
DROP INDEX entries_by_key;
-- What is rare is indexed alone: the others pay nothing for it.
CREATE INDEX requests_by_status ON requests (status, id) WHERE status NOT BETWEEN 200 AND 299;
CREATE INDEX requests_estimated ON requests (id) WHERE estimated = 1;
CREATE INDEX requests_unpriced ON requests (id) WHERE unpriced = 1;
CREATE INDEX requests_retried ON requests (id) WHERE json_array_length(attempts) > 1;
CREATE INDEX requests_over_10_s ON requests (id) WHERE total_ms > 10000;
CREATE INDEX requests_over_1_min ON requests (id) WHERE total_ms > 60000;
CREATE INDEX requests_over_5_min ON requests (id) WHERE total_ms > 300000;
CREATE INDEX requests_over_1_cent ON requests (id) WHERE charge_nanos > 10000000;
CREATE INDEX requests_over_10_cents ON requests (id) WHERE charge_nanos > 100000000;
CREATE INDEX requests_over_1_dollar ON requests (id) WHERE charge_nanos > 1000000000;
-- Providers' ids are random: by the quarter of a day first, so that only the present one's leaves of the tree are written to.
CREATE INDEX requests_by_upstream_id ON requests (at_ms / 21600000, upstream_request_id)
    WHERE upstream_request_id IS NOT NULL;

-- Sums by the hour, kept in the transaction that writes the requests; they outlive the request log.
CREATE TABLE usage_hours (
    -- Of the time at which the requests came in: hours since 1970 (UTC).
    hour INTEGER NOT NULL,
    -- 0 and '': not known.
    account_id INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    model TEXT NOT NULL,
    channel TEXT NOT NULL,
    requests INTEGER NOT NULL,
    -- Ended neither as completed nor because the caller left.
    failed INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    -- Disjoint; their sum is all tokens.
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    charge_nanos INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    -- Of those requests that had a first byte.
    first_byte_ms INTEGER NOT NULL,
    first_bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, account_id, key_id, model, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_hours_by_account ON usage_hours (account_id, hour);

INSERT INTO usage_hours
SELECT at_ms / 3600000, coalesce(account_id, 0), coalesce(key_id, 0), model, coalesce(channel, ''),
    count(*), sum(ending NOT IN ('completed', 'client_left')), sum(estimated), sum(unpriced),
    sum(coalesce(usage ->> 'input', 0) + coalesce(usage ->> 'audio_input', 0) + coalesce(usage ->> 'image_input', 0)),
    sum(coalesce(usage ->> 'cache_read', 0)),
    sum(coalesce(usage ->> 'cache_write', 0) + coalesce(usage ->> 'cache_write_1h', 0)),
    sum(coalesce(usage ->> 'output', 0) + coalesce(usage ->> 'reasoning', 0)
        + coalesce(usage ->> 'audio_output', 0) + coalesce(usage ->> 'image_output', 0)),
    sum(CASE WHEN account_id IS NULL THEN 0 ELSE charge_nanos END),
    sum(total_ms), sum(coalesce(first_byte_ms, 0)), count(first_byte_ms)
FROM requests GROUP BY 1, 2, 3, 4, 5;

-- From when on the request log is whole: what came in before was removed by retention.
CREATE TABLE request_log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    kept_from_ms INTEGER NOT NULL
) STRICT;
INSERT INTO request_log (id, kept_from_ms) VALUES (1, 0);
