SELECT count(*) FROM note;
