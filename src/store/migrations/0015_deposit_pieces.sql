-- A bin may deliver any number of deposits of the same minutes, and what is added to a bucket writes all of it anew: a bucket
-- is in pieces, each of so many rows of the ledger. What there was goes on as the first one.
CREATE TABLE deposit_piece (
    bucket  INTEGER NOT NULL,
    bin     INTEGER NOT NULL,
    piece   INTEGER NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (bucket, bin, piece)
) STRICT, WITHOUT ROWID;
INSERT INTO deposit_piece SELECT bucket, bin, 0, entries FROM deposit_time;
DROP TABLE deposit_time;
ALTER TABLE deposit_piece RENAME TO deposit_time;
