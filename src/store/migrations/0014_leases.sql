-- Whose turn each job is, where several backends share the store: one holds a job until it is renewed no more.
CREATE TABLE lease (
    job    TEXT PRIMARY KEY,
    holder TEXT NOT NULL,     -- a backend, by a name that it makes up when it starts
    until  INTEGER NOT NULL   -- by the server's clock
) STRICT, WITHOUT ROWID;
