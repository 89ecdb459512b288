-- Prepared while building, against the schema of migrations/.
SELECT id,
  title FROM note WHERE id = ?;
INSERT INTO note (title) VALUES (:title);
