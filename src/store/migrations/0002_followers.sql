-- How far each job that follows the ledger has read it.
CREATE TABLE follower (
    name TEXT PRIMARY KEY,
    row  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
