-- A worker numbers its visits, so that a lost or doubled one shows.
CREATE UNIQUE INDEX visit_by_sequence ON visit (run, worker, sequence);
CREATE INDEX visit_by_crs ON visit (auth_name, code);
