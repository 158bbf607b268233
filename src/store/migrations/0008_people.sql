-- 1: erased. The row stays, under a random name that no household can have, for the figures it is counted in.
ALTER TABLE household ADD COLUMN erased INTEGER;
-- 1: erased. Its hash is a random number that no card has.
ALTER TABLE card ADD COLUMN erased INTEGER;

-- What was found at a household's door. A later record of the same day and kind takes the place and a new id: of one day
-- the ids say what was recorded last.
CREATE TABLE visit (
    id        INTEGER PRIMARY KEY,
    household INTEGER NOT NULL REFERENCES household (key),
    day       INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    claimed   INTEGER,  -- 0, 1; absent: no answer
    tested    INTEGER,
    UNIQUE (household, day, kind)
) STRICT;

-- As before, but with the key as a keyed hash, for a client may put anything into it, and for requests about visits too.
DROP TABLE idempotency;
CREATE TABLE idempotency (
    token       TEXT NOT NULL,
    key         BLOB NOT NULL,
    fingerprint BLOB NOT NULL,  -- keyed hash of the request: it may hold a card or a household
    row         INTEGER,        -- of the ledger: what the answer shows; absent: the request was about visits
    stored      INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
