-- How the lid of each bin is, as it says.
CREATE TABLE lid (
    device INTEGER PRIMARY KEY,
    locked INTEGER NOT NULL,
    since  INTEGER NOT NULL
) STRICT;

-- Spans in which staff hold a site open against its hours.
CREATE TABLE opening (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    site   INTEGER NOT NULL,
    reason TEXT NOT NULL,
    start  INTEGER NOT NULL,
    until  INTEGER NOT NULL,  -- brought forward when it is ended early
    by     TEXT NOT NULL      -- the token that opened it
) STRICT;
CREATE INDEX opening_site ON opening (site, until);

-- When projectors said that they showed something, and until when it lasts unless something else follows.
CREATE TABLE shown (
    device  INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    message INTEGER,          -- absent: the projector's own message of the evening
    PRIMARY KEY (device, start)
) STRICT, WITHOUT ROWID;
