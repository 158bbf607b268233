-- What each device last measured of itself: its battery, its temperature, its signal, how full it is of what.
CREATE TABLE device_vital (
    device INTEGER NOT NULL,
    name   TEXT NOT NULL,    -- millivolts, celsius, rssi, or fill/ and a stream
    value  REAL NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;
