// SQL through a library of Node: in_node.cjs PACKAGE FILE [read_only]
//
// Says "ok VERSION" or "error MESSAGE" once the file is open, and then "ok VALUE" or "error MESSAGE" for each line of
// standard input, which is a statement; at its end the file is closed.
const fs = require('fs');
const readline = require('readline');

const BUSY_TIMEOUT = 5000; // ms

// A library with the calls of better-sqlite3.
function synchronous(open) {
  return async (file, readOnly) => {
    const db = await open(file, readOnly);
    return {
      run: async (sql) => {
        const statement = db.prepare(sql);
        const isQuery = /^(SELECT|PRAGMA)/i.test(sql);
        const rows = isQuery ? await statement.all() : (await statement.run(), []);
        return rows.length > 0 ? Object.values(rows[0])[0] : '';
      },
      close: async () => db.close(),
    };
  };
}

const libraries = {
  'better-sqlite3': synchronous((file, readonly) =>
    new (require('better-sqlite3'))(file, { readonly, timeout: BUSY_TIMEOUT })),
  'better-sqlite3-multiple-ciphers': synchronous((file, readonly) =>
    new (require('better-sqlite3-multiple-ciphers'))(file, { readonly, timeout: BUSY_TIMEOUT })),
  libsql: synchronous((file, readonly) => new (require('libsql'))(file, { readonly, timeout: BUSY_TIMEOUT })),
  'node:sqlite': synchronous((file, readOnly) =>
    new (require('node:sqlite').DatabaseSync)(file, { readOnly, timeout: BUSY_TIMEOUT })),
  '@tursodatabase/database': synchronous(async (file, readonly) =>
    (await import('@tursodatabase/database')).connect(file, { readonly, timeout: BUSY_TIMEOUT })),
  'node-sqlite3-wasm': async (file, readOnly) => {
    const db = new (require('node-sqlite3-wasm').Database)(file, { readOnly });
    if (process.env.LOCKING_MODE) db.exec(`PRAGMA locking_mode=${process.env.LOCKING_MODE}`);
    return {
      run: async (sql) => {
        const rows = db.all(sql);
        return rows.length > 0 ? Object.values(rows[0])[0] : '';
      },
      close: async () => db.close(),
    };
  },
  // Has the whole file in memory, and writes the whole file, as its documentation shows.
  'sql.js': async (file) => {
    const { Database } = await require('sql.js')();
    const db = new Database(fs.readFileSync(file));
    let isChanged = false;
    return {
      run: async (sql) => {
        const results = db.exec(sql);
        isChanged = isChanged || !/^SELECT/i.test(sql);
        return results.length > 0 ? results[0].values[0][0] : '';
      },
      close: async () => {
        if (isChanged) fs.writeFileSync(file, Buffer.from(db.export()));
      },
    };
  },
};

const say = (word, text) => console.log(`${word} ${String(text).split('\n')[0]}`);
const messageOf = (error) => `${error.message} (${error.code ?? error.name})`;

async function main([name, file, mode]) {
  let db;
  try {
    db = await libraries[name](file, mode === 'read_only');
    say('ok', await db.run('SELECT sqlite_version()'));
  } catch (error) {
    say('error', messageOf(error));
    return;
  }
  for await (const sql of readline.createInterface({ input: process.stdin })) {
    try {
      say('ok', await db.run(sql));
    } catch (error) {
      say('error', messageOf(error));
    }
  }
  try {
    await db.close();
  } catch (error) {
    say('error', `at closing: ${messageOf(error)}`);
  }
}
main(process.argv.slice(2));
