# Reads ctest's LastTest.log and prints a line a test: its milliseconds, how it ended, its name.
#
#   passed, skipped, failed    as GoogleTest says, or ctest for a test that is no GoogleTest program
#   died                       it began, and its process ended, or was ended, before it did
#
# A program of tests that failed outside of all its tests (a leak that its sanitizer found at the end, a time limit
# between two tests) has failed as well: with the name that ctest gives it.

function report(milliseconds, end, name) {
  printf "%d %s %s\n", milliseconds, end, name
  if (end == "failed" || end == "died") unhappy = 1
}

/^[0-9]+\/[0-9]+ Testing: / {
  entry = $0
  sub(/^[0-9]+\/[0-9]+ Testing: /, "", entry)
  running = ""
  is_program = unhappy = 0
}

# What a test prints may stand before GoogleTest's words in a line.
match($0, /\[ RUN      \] /) && running == "" {
  running = substr($0, RSTART + RLENGTH)
  is_program = 1
}
running != "" && match($0, /\[(       OK|  FAILED |  SKIPPED) \] .*\([0-9]+ ms\)$/) {
  end = substr($0, RSTART, 12)
  text = substr($0, RSTART + 13)
  if (substr(text, 1, length(running)) == running && substr(text, length(running) + 1, 1) ~ /[ ,]/) {
    match(text, /\([0-9]+ ms\)$/)
    report(substr(text, RSTART + 1) + 0, end ~ /OK/ ? "passed" : end ~ /FAILED/ ? "failed" : "skipped", running)
    running = ""
  }
}

/^Test time = +[0-9.]+ sec$/ { milliseconds = $4 * 1000 }
/^Test (Passed|Failed)\.$|^Test (Pass|Fail) Reason:$/ {
  if (running != "") report(milliseconds, "died", running)
  running = ""
  if (!is_program) report(milliseconds, $2 ~ /^Pass/ ? "passed" : "failed", entry)
  else if ($2 ~ /^Fail/ && !unhappy) report(milliseconds, "failed", entry)
}
