-- Names that stand for models, kept by the admin.

CREATE TABLE aliases (
    id INTEGER PRIMARY KEY,
    -- Goes before one of this name in the configuration file.
    name TEXT NOT NULL UNIQUE,
    -- JSON list: the models that it stands for, in the order of trying.
    models TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
