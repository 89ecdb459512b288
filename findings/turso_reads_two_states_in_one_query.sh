#!/usr/bin/env bash
# Turso 0.7.2 (npm @tursodatabase/database), opened with `readonly: true`, beside another process with libsql 0.5.29, which
# writes.
#
# Expected: a reader that is let in beside a writer sees one state, or fails: if not the newest, then that of its opening.
# Seen:     it never looks at the log again; what is copied from the log into the file later is mixed with the pages that it
#           remembers. One SELECT returns rows from before an UPDATE and rows from after it. integrity_check says "ok".
#           Without `readonly`, Turso refuses a file that another process has open.
# Means:    Turso's read-only mode is for files that nobody writes. Copy the file first (VACUUM INTO), and read the copy.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @tursodatabase/database@0.7.2 libsql@0.5.29 >/dev/null
cat >write.cjs <<'JS'
const db = new (require('libsql'))('shared.db');
for (const sql of process.argv.slice(2)) db.exec(sql);
console.log(db.prepare('SELECT DISTINCT state FROM t').all().map((row) => row.state).join(' and '));
db.close();
JS
cat >read.mjs <<'JS'
import { execFileSync } from 'node:child_process';
import { connect } from '@tursodatabase/database';

const write = (...sql) => execFileSync(process.execPath, ['write.cjs', ...sql]).toString().trim();
write('PRAGMA journal_mode=WAL', 'CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT, padding TEXT)',
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
   INSERT INTO t SELECT i, 'old', hex(zeroblob(100)) FROM n`);

const reader = await connect('shared.db', { readonly: true });
const rowOne = await reader.prepare('SELECT state FROM t WHERE id = 1').all();
console.log(`row 1 before: ${rowOne[0].state}`); // its page is remembered from here on
console.log(`the writer: ${write("UPDATE t SET state = 'new'")}`); // at its end the log is copied into the file
const rows = await reader.prepare('SELECT DISTINCT state FROM t ORDER BY state').all();
console.log(`the reader, in one SELECT: ${rows.map((row) => row.state).join(' and ')}`);
const check = await reader.prepare('PRAGMA integrity_check').all();
console.log(`its integrity_check: ${check[0].integrity_check}`);
JS
node read.mjs | tee said
diff - said <<'SAID'
row 1 before: old
the writer: new
the reader, in one SELECT: new and old
its integrity_check: ok
SAID
