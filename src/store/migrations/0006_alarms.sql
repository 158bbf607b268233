-- What was raised for people to look at; the rows are its history.
CREATE TABLE alarm (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    site         INTEGER NOT NULL,
    device       INTEGER,           -- absent: it is of the site
    raised       INTEGER NOT NULL,
    last         INTEGER NOT NULL,  -- when its cause was seen last
    count        INTEGER NOT NULL,  -- how often its cause came
    gone         INTEGER,           -- since when its cause is gone; absent while it holds
    cleared      INTEGER,
    settled      INTEGER,           -- when it had been cleared for so long that it cannot come back any more
    acknowledged INTEGER,
    by           TEXT,              -- the token that acknowledged it
    note         TEXT
) STRICT;
CREATE UNIQUE INDEX alarm_open ON alarm (kind, site, coalesce(device, 0)) WHERE cleared IS NULL;
CREATE INDEX alarm_of ON alarm (kind, site, device);
CREATE INDEX alarm_unsettled ON alarm (cleared) WHERE settled IS NULL;

-- When a cause was last said to be gone: a word that comes late must not bring it back.
CREATE TABLE alarm_gone (
    kind   TEXT NOT NULL,
    site   INTEGER NOT NULL,
    device INTEGER NOT NULL,  -- 0: it is of the site
    at     INTEGER NOT NULL,
    PRIMARY KEY (kind, site, device)
) STRICT, WITHOUT ROWID;

-- How many conflicts of a device were raised already.
CREATE TABLE alarm_conflicts (
    device INTEGER PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT;

-- Devices whose clock is in doubt, written with the events that say so.
CREATE TABLE clock_doubt (
    device   INTEGER PRIMARY KEY,
    off      INTEGER,           -- when it was found to be off last
    unsynced INTEGER,           -- since when its events are marked so
    behind   INTEGER,           -- since when its heartbeats come late
    beats    INTEGER NOT NULL,  -- how many of them
    sane     INTEGER            -- when an event put an end to the doubt
) STRICT;

-- How often a device is used to be heard.
CREATE TABLE habit (
    device INTEGER PRIMARY KEY,
    latest INTEGER NOT NULL,  -- the time of its latest heartbeat
    pauses INTEGER NOT NULL,  -- how many pauses between heartbeats were learnt from
    pause  INTEGER NOT NULL   -- the usual one, in milliseconds
) STRICT;

-- Where alarms are told.
CREATE TABLE alarm_hook (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    organization TEXT REFERENCES organization (id),  -- whose communities it is told of; absent: all
    document     TEXT NOT NULL,     -- JSON: what was asked for, the secret parts included
    severity     INTEGER NOT NULL,  -- the least
    community    TEXT,              -- only of this one,
    site         TEXT,              -- or of this one
    created      INTEGER NOT NULL,
    due          INTEGER NOT NULL,  -- nothing is sent to it before
    attempts     INTEGER NOT NULL,  -- how often it failed since it last succeeded
    attempted    INTEGER,
    status       TEXT,              -- what came of the last attempt
    succeeded    INTEGER
) STRICT;

-- What is to be told to a hook, written with the change that it tells of. In their order for each hook.
CREATE TABLE alarm_notice (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,     -- what the receiver knows it by
    hook     INTEGER NOT NULL REFERENCES alarm_hook (number) ON DELETE CASCADE,
    alarm    INTEGER NOT NULL,
    event    TEXT NOT NULL,     -- raised, cleared
    severity INTEGER NOT NULL,
    site     INTEGER NOT NULL,
    document TEXT NOT NULL,     -- JSON: the alarm as it was then
    failing  INTEGER,           -- since when it could not be delivered
    done     INTEGER,           -- when it was delivered or given up
    given_up INTEGER,           -- 1: it was given up
    UNIQUE (alarm, hook, event)
) STRICT;
CREATE INDEX alarm_notice_waiting ON alarm_notice (hook, number) WHERE done IS NULL;
CREATE INDEX alarm_notice_given_up ON alarm_notice (hook) WHERE given_up;
CREATE INDEX alarm_notice_done ON alarm_notice (done) WHERE done IS NOT NULL;
