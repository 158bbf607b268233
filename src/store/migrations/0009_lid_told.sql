-- When a bin last said how its lid is, apart from since when it is so: a late word must not pass for the newest.
ALTER TABLE lid ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE lid SET told = since;
