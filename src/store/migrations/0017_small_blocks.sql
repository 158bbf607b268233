-- Where the events of a boot lie: a row for 32 seqs, which was one for 128, and its number is that of the first row of the
-- ledger in it. So what is written at one time lies side by side, however far each boot has come. Numbers below 0 are of
-- rows that are older than this.
CREATE TABLE event_block (
    block  INTEGER NOT NULL,
    boot   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (block, boot)
) STRICT, WITHOUT ROWID;
INSERT INTO event_block
SELECT e.block * 4 + p.part, e.boot, -row_number() OVER (ORDER BY e.block, e.boot, p.part)
FROM event_row e JOIN (SELECT 0 AS part UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) p
    ON length(e.rows) > p.part * 160;

CREATE TABLE event_row_by_number (
    number INTEGER PRIMARY KEY,
    rows   BLOB NOT NULL
) STRICT;
INSERT INTO event_row_by_number
SELECT b.number, substr(e.rows, CAST(b.block % 4 * 160 + 1 AS int), 160)
FROM event_block b JOIN event_row e ON e.block = b.block / 4 AND e.boot = b.boot ORDER BY b.number;
DROP TABLE event_row;
ALTER TABLE event_row_by_number RENAME TO event_row;
