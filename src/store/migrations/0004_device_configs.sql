-- What each device was last told to keep to, on its retained `config` channel.
CREATE TABLE device_config (
    device   INTEGER PRIMARY KEY,
    topic    TEXT NOT NULL,     -- where it is retained: cleared when the device goes
    version  INTEGER NOT NULL,  -- grows whenever the document changes
    document TEXT NOT NULL,     -- JSON, with its version
    stored   INTEGER NOT NULL
) STRICT;
