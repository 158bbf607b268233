-- People who sign in.
CREATE TABLE account (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    password     TEXT NOT NULL,         -- argon2id, as a PHC string
    organization TEXT REFERENCES organization (id),
    roles        TEXT NOT NULL,         -- separated by blanks
    created      INTEGER NOT NULL,
    disabled     INTEGER
) STRICT;

-- Who is signed in: a digest of 256 random bits that only the browser holds.
CREATE TABLE session (
    hash    BLOB PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    begun   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (account);

-- Failed attempts, by the keyed hash of the name that was typed: what people type by mistake may be a password.
CREATE TABLE sign_in_failure (
    name  BLOB PRIMARY KEY,
    count INTEGER NOT NULL,
    last  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
