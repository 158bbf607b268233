-- What was raised for people to look at; the rows are its history.
CREATE TABLE alarm (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL,
    site         INTEGER NOT NULL,
    device       INTEGER NOT NULL,
    raised       INTEGER NOT NULL,
    last         INTEGER NOT NULL,  -- when its cause was seen last
    count        INTEGER NOT NULL,  -- how often its cause came
    gone         INTEGER,           -- since when its cause is gone; absent while it holds
    cleared      INTEGER,
    acknowledged INTEGER,
    by           TEXT,              -- the token that acknowledged it
    note         TEXT
) STRICT;
CREATE UNIQUE INDEX alarm_open ON alarm (kind, device) WHERE cleared IS NULL;
CREATE INDEX alarm_of ON alarm (kind, device, cleared);

-- How many conflicts of a device were raised already.
CREATE TABLE alarm_conflicts (
    device INTEGER PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT;
