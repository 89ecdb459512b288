-- Who looked at which coordinate system, and when.
CREATE TABLE visit (
  id         INTEGER PRIMARY KEY,
  run        INTEGER NOT NULL,   -- one start of the demo
  worker     INTEGER NOT NULL,   -- the thread that wrote it
  sequence   INTEGER NOT NULL,   -- its how-many-th write
  auth_name  TEXT    NOT NULL,
  code       TEXT    NOT NULL,
  visited_at TEXT    NOT NULL    -- ISO 8601, UTC
);
