-- Instants are Unix milliseconds (UTC), days are days since 1970-01-01 on the site's own calendar.

-- What the installation is: the fingerprint of its card key, when it was last known to run.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Grows with every change to the registry, so that a running backend notices what the command line did.
CREATE TABLE registry_revision (revision INTEGER NOT NULL) STRICT;
INSERT INTO registry_revision VALUES (1);

-- Registry ------------------------------------------------------------------------------------

CREATE TABLE organization (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE community (
    key       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    name      TEXT NOT NULL,
    committee TEXT NOT NULL REFERENCES organization (id),
    time_zone TEXT NOT NULL
) STRICT;

CREATE TABLE site (
    key       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    community TEXT NOT NULL REFERENCES community (id),
    name      TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    latitude  REAL,
    longitude REAL
) STRICT;

CREATE TABLE device (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    site        TEXT NOT NULL REFERENCES site (id),
    kind        TEXT NOT NULL,
    name        TEXT,
    streams     TEXT,              -- JSON array
    incarnation INTEGER NOT NULL,  -- grows when the hardware is replaced: boots start again
    password    TEXT NOT NULL      -- $7$ hash (PBKDF2-SHA512) of the secret, as Mosquitto's password file has it
) STRICT;

CREATE TABLE project (
    id            TEXT PRIMARY KEY,
    community     TEXT NOT NULL REFERENCES community (id),
    organization  TEXT NOT NULL REFERENCES organization (id),
    starts        TEXT NOT NULL,
    participation REAL,
    awareness     REAL
) STRICT, WITHOUT ROWID;

-- Every version of every schedule, in the order in which they were stored: old ones still judge old events.
CREATE TABLE schedule (
    id       INTEGER PRIMARY KEY,
    site     TEXT NOT NULL REFERENCES site (id),
    document TEXT NOT NULL,
    stored   INTEGER NOT NULL
) STRICT;

CREATE TABLE household (
    key            INTEGER PRIMARY KEY,
    community      INTEGER NOT NULL REFERENCES community (key),
    id             TEXT NOT NULL,
    building       TEXT,
    enrolled_from  INTEGER NOT NULL,
    enrolled_until INTEGER,
    UNIQUE (community, id)
) STRICT;

-- A card by its keyed hash. Everything else refers to the number: erasing a household means forgetting the hash.
CREATE TABLE card (
    id   INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE household_card (
    card      INTEGER NOT NULL REFERENCES card (id),
    household INTEGER NOT NULL REFERENCES household (key) ON DELETE CASCADE,
    PRIMARY KEY (card, household)
) STRICT, WITHOUT ROWID;
CREATE INDEX household_card_household ON household_card (household);

CREATE TABLE token (
    id           TEXT PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE,  -- SHA-256 of 256 random bits: nothing to guess, so nothing to slow down
    organization TEXT REFERENCES organization (id),
    roles        TEXT NOT NULL,         -- separated by blanks
    created      INTEGER NOT NULL,
    revoked      INTEGER
) STRICT, WITHOUT ROWID;

-- Who looked at or changed what concerns single households.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL
) STRICT;

-- Ledger --------------------------------------------------------------------------------------

-- One start of a device: how far its events have come without a gap, and what it sent wrongly.
CREATE TABLE boot (
    id          INTEGER PRIMARY KEY,
    device      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    boot        INTEGER NOT NULL,
    next        INTEGER NOT NULL,  -- one above the highest seq that has come
    received    INTEGER NOT NULL,  -- when something of it came last
    stored      INTEGER NOT NULL DEFAULT 0,  -- how many of its events the ledger holds
    conflicts   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, incarnation, boot)
) STRICT;

-- Seqs below `next` that have not come.
CREATE TABLE gap (
    boot  INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (boot, first)
) STRICT, WITHOUT ROWID;

-- Seqs that the device declared it can never deliver.
CREATE TABLE lost (
    boot     INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    declared INTEGER NOT NULL,
    PRIMARY KEY (boot, first)
) STRICT, WITHOUT ROWID;

-- Every accepted event, in commit order. Deposits and emptyings fill the columns, the other types `detail` (JSON).
CREATE TABLE ledger (
    id        INTEGER PRIMARY KEY,
    boot      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    time      INTEGER NOT NULL,  -- when it happened
    lag       INTEGER NOT NULL,  -- received = time + lag
    type      INTEGER NOT NULL,
    unsynced  INTEGER,           -- 1: `time` is the time of arrival
    stream    INTEGER,
    grams     INTEGER,
    card      INTEGER,
    timing    INTEGER,           -- by the schedule in force; rewritten when a backdated version re-times the day
    verdict   INTEGER,           -- the bin's own
    camera    INTEGER,
    volunteer INTEGER,
    detail    TEXT
) STRICT;

-- Where the events of a boot lie in the ledger: a row for each block of seqs, five bytes a seq. By block first: devices
-- that started together write side by side, where by boot first each would write to a page of its own.
CREATE TABLE event_row (
    block INTEGER NOT NULL,
    boot  INTEGER NOT NULL,
    rows  BLOB NOT NULL,
    PRIMARY KEY (block, boot)
) STRICT, WITHOUT ROWID;

-- Which instants the rows of a block of the ledger span, for each site: finds a day without an index on every event.
CREATE TABLE ledger_block (
    site       INTEGER NOT NULL,
    block      INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time  INTEGER NOT NULL,
    PRIMARY KEY (site, block)
) STRICT, WITHOUT ROWID;

-- The deposits of a bin by time, in buckets: what a camera's judgement may mean. Eight bytes a deposit. By bucket first:
-- what happens now is written side by side.
CREATE TABLE deposit_time (
    bucket  INTEGER NOT NULL,
    bin     INTEGER NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (bucket, bin)
) STRICT, WITHOUT ROWID;

-- Judgements that came before their deposit.
CREATE TABLE waiting_judgement (
    judgement INTEGER PRIMARY KEY,  -- its row in the ledger
    bin       INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    boot      INTEGER,              -- with seq: names one deposit; absent: the nearest in time
    seq       INTEGER,
    verdict   INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_judgement_bin ON waiting_judgement (bin, boot, seq, time);

-- Matches once made.
CREATE TABLE judged (
    judgement INTEGER PRIMARY KEY,
    deposit   INTEGER NOT NULL
) STRICT;

-- Rollups: written with the events they count, in one transaction ------------------------------

-- Who was seen, as cards; the roster is joined when a figure is read.
-- place: 1 in an open window, 2 makeup, 3 off hours (as `timing`), 4 in a further, overlapping window.
CREATE TABLE card_count (
    community INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    site      INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    open      INTEGER NOT NULL,  -- minute of the day; 0 where the place is no window
    close     INTEGER NOT NULL,
    block     INTEGER NOT NULL,  -- of the rows of the ledger that were counted
    entries   BLOB NOT NULL,     -- card, and what is added to its deposits and to its correct ones; see card_counts.rs
    PRIMARY KEY (community, day, site, place, open, close, block)
) STRICT, WITHOUT ROWID;

CREATE TABLE hour_count (
    site      INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    hour      INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    in_window INTEGER NOT NULL,
    makeup    INTEGER NOT NULL,
    off_hours INTEGER NOT NULL,
    correct   INTEGER NOT NULL,
    incorrect INTEGER NOT NULL,
    unjudged  INTEGER NOT NULL,
    grams     INTEGER NOT NULL,
    PRIMARY KEY (site, day, hour, stream)
) STRICT, WITHOUT ROWID;

-- In which minutes of an hour a bin of the site reported: bit 0 is minute 0.
CREATE TABLE presence (
    site    INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    hour    INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    PRIMARY KEY (site, day, hour)
) STRICT, WITHOUT ROWID;

-- Devices as they say they are ------------------------------------------------------------------

CREATE TABLE device_state (
    device   INTEGER PRIMARY KEY,
    online   INTEGER NOT NULL,
    boot     INTEGER NOT NULL,
    firmware TEXT,
    config   INTEGER,
    since    INTEGER NOT NULL
) STRICT;

-- Spans in which a device was online; `until` is absent while it is.
CREATE TABLE online (
    device INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (device, since)
) STRICT, WITHOUT ROWID;

-- Refused input ---------------------------------------------------------------------------------

CREATE TABLE quarantine (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT NOT NULL,  -- as the topic names it; the topic itself where it names none
    topic       TEXT NOT NULL,
    incarnation INTEGER,        -- with boot and seq, where these can be read
    boot        INTEGER,
    seq         INTEGER,
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    fields      TEXT,           -- JSON: the known fields, the card as its hash
    raw         BLOB,           -- the first bytes of what is no JSON
    digest      BLOB NOT NULL,
    count       INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    UNIQUE (device, digest)
) STRICT;
CREATE INDEX quarantine_name ON quarantine (device, incarnation, boot, seq);

-- How much a device had refused beyond its cap.
CREATE TABLE quarantine_overflow (
    device TEXT PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
