-- What is published of each community, in the order in which it was: each row is all that is told of it from then on.
CREATE TABLE linkage_revision (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    community TEXT NOT NULL,
    at        INTEGER NOT NULL,
    changes   TEXT NOT NULL,  -- JSON: what is told anew, and why
    picture   TEXT,           -- JSON; absent: there is no such community any more
    parties   TEXT NOT NULL,  -- JSON array: the organizations whose community it is
    parted    TEXT NOT NULL   -- JSON array: those whose it was until then
) STRICT;
CREATE INDEX linkage_revision_community ON linkage_revision (community, number);

-- What the figures of a community depended on beside events when it was last looked at, as digests.
CREATE TABLE linkage_look (
    community TEXT PRIMARY KEY,
    schedules BLOB NOT NULL,
    roster    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is told of revisions.
CREATE TABLE linkage_hook (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    organization TEXT REFERENCES organization (id),  -- whose communities it is told of; absent: all
    url          TEXT NOT NULL,
    secret       TEXT NOT NULL,
    former       TEXT,              -- the secret before, which signs too
    former_until INTEGER,           -- until then
    created      INTEGER NOT NULL,
    position     INTEGER NOT NULL,  -- the last revision that it took, or is not to be told of
    due          INTEGER NOT NULL,  -- nothing is sent to it before
    attempts     INTEGER NOT NULL,  -- how often it failed since it last succeeded
    failing      INTEGER,           -- since when
    attempted    INTEGER,
    status       TEXT,              -- what came of the last attempt
    succeeded    INTEGER,
    disabled     TEXT               -- why nothing is sent to it any more
) STRICT;

-- Every attempt to tell it.
CREATE TABLE linkage_delivery (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    hook     INTEGER NOT NULL REFERENCES linkage_hook (number) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    status   TEXT NOT NULL,
    taken    INTEGER NOT NULL
) STRICT;
CREATE INDEX linkage_delivery_hook ON linkage_delivery (hook, number);
CREATE INDEX linkage_delivery_at ON linkage_delivery (at);
