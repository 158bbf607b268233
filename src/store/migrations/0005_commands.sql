-- What projectors are asked to show.
CREATE TABLE message (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,     -- JSON, as it was asked for
    created  INTEGER NOT NULL,
    over     INTEGER NOT NULL,  -- no span of it ends after this instant
    deleted  INTEGER
) STRICT;
CREATE INDEX message_over ON message (over);

-- What a device is told to do once.
CREATE TABLE command (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,  -- what the device and the world know it by
    device   INTEGER NOT NULL,
    occasion TEXT NOT NULL,         -- names it once for its device, however often it is planned
    message  INTEGER,
    type     TEXT NOT NULL,         -- display, clear, lock, unlock, open
    text     TEXT,                  -- as it was sent; absent until then
    due      INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    state    TEXT NOT NULL,
    sent     INTEGER,               -- when it was sent last
    UNIQUE (device, occasion)
) STRICT;
CREATE INDEX command_open ON command (due) WHERE state IN ('queued', 'sent', 'accepted');
CREATE INDEX command_message ON command (message);
CREATE INDEX command_occasion ON command (occasion);

-- Each step of a command's life.
CREATE TABLE command_step (
    command INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    state   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    detail  TEXT,
    PRIMARY KEY (command, step)
) STRICT, WITHOUT ROWID;
