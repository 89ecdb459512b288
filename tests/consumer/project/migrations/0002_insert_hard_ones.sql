-- a byte order mark, and carriage returns
INSERT INTO note (title) VALUES
  (')sql"'), ('a;b;;c'), ('back\slash \x41 \'), ('"quoted" ''twice'''), ('[brackets] ][ [[ ]]'),
  ('${CMAKE_VERSION} @CMAKE_VERSION@ $ENV{HOME} $<CONFIG>'), ('??/ ??= %s %%'), ('# /* -- */ //'),
  ('Füße, 日本語, 🙂, 1é12'), ('	'), ('line
break');
CREATE TRIGGER note_kept BEFORE DELETE ON note BEGIN
  SELECT RAISE(ABORT, 'kept;'); END;
