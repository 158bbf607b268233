-- Stands for a household whose deposit a volunteer noted without a card.
ALTER TABLE household ADD COLUMN own_card INTEGER REFERENCES card (id);

-- What was answered to requests that may come twice, for as long as a client may repeat them.
CREATE TABLE idempotency (
    token       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,  -- keyed hash of the request: it may hold a card
    row         INTEGER NOT NULL,  -- of the ledger: what the answer shows
    stored      INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
