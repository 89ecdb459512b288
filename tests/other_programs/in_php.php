<?php
// SQL through PHP's SQLite3: in_php.php FILE [read_only]; see in_node.cjs for what it says.
function say(string $word, $text): void {
  echo $word, ' ', explode("\n", (string)$text)[0], "\n";
}

try {
  $db = new SQLite3($argv[1], ($argv[2] ?? '') === 'read_only' ? SQLITE3_OPEN_READONLY : SQLITE3_OPEN_READWRITE);
  $db->enableExceptions(true);
  $db->busyTimeout(5000);
  say('ok', $db->querySingle('SELECT sqlite_version()'));
} catch (Throwable $error) {
  say('error', $error->getMessage());
  exit;
}
while (($sql = fgets(STDIN)) !== false) {
  try {
    say('ok', preg_match('/^(SELECT|PRAGMA)/i', $sql) ? $db->querySingle($sql) : ($db->exec($sql) ? '' : 'false'));
  } catch (Throwable $error) {
    say('error', $error->getMessage());
  }
}
$db->close();
