DROP INDEX visit_by_crs;
DROP INDEX visit_by_sequence;
