-- Notes, with all that makes texts hard to embed.
CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
