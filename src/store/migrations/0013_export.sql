-- Events that the time-series server refuses. They are tried again only when somebody asks for it.
CREATE TABLE export_dead (
    event  INTEGER PRIMARY KEY,  -- its row in the ledger
    reason TEXT NOT NULL,        -- what the server said
    at     INTEGER NOT NULL,     -- when it said so last
    again  INTEGER NOT NULL      -- 1: somebody asked for it
) STRICT;
CREATE INDEX export_dead_again ON export_dead (event) WHERE again = 1;

-- Deposits that were timed anew after they may have been exported: those of a site with first_time <= time < before_time.
CREATE TABLE export_retimed (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    site        INTEGER NOT NULL,
    first_time  INTEGER NOT NULL,
    before_time INTEGER NOT NULL,
    done        INTEGER NOT NULL  -- the last row of the ledger that was looked at
) STRICT;
