-- What translations between dialects cannot carry: listed with each request, and refused to keys that want it so.

-- JSON list of fields with the dialect that has no place for them and the reason; NULL: everything was carried.
ALTER TABLE requests ADD COLUMN losses TEXT;

ALTER TABLE api_keys ADD COLUMN losses TEXT NOT NULL DEFAULT 'report' CHECK (losses IN ('report', 'refuse'));
