-- What happens at one time is written side by side, however many sites there are: with the site first in its key, a row
-- of each site was on a page of its own.

CREATE TABLE card_count_by_day (
    community INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    site      INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    open      INTEGER NOT NULL,
    close     INTEGER NOT NULL,
    block     INTEGER NOT NULL,
    entries   BLOB NOT NULL,
    PRIMARY KEY (community, day, block, site, place, open, close)
) STRICT, WITHOUT ROWID;
INSERT INTO card_count_by_day SELECT * FROM card_count ORDER BY community, day, block, site, place, open, close;
DROP TABLE card_count;
ALTER TABLE card_count_by_day RENAME TO card_count;

CREATE TABLE hour_count_by_day (
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
    PRIMARY KEY (day, site, hour, stream)
) STRICT, WITHOUT ROWID;
INSERT INTO hour_count_by_day SELECT * FROM hour_count ORDER BY day, site, hour, stream;
DROP TABLE hour_count;
ALTER TABLE hour_count_by_day RENAME TO hour_count;

CREATE TABLE presence_by_day (
    site    INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    hour    INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    PRIMARY KEY (day, site, hour)
) STRICT, WITHOUT ROWID;
INSERT INTO presence_by_day SELECT * FROM presence ORDER BY day, site, hour;
DROP TABLE presence;
ALTER TABLE presence_by_day RENAME TO presence;

-- The instants that a block of the ledger spans are those of whole hours from now on: few transactions change them.
UPDATE ledger_block SET first_time = first_time - first_time % 3600000,
    last_time = last_time - last_time % 3600000 + 3599999;
