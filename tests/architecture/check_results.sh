#!/usr/bin/env bash
# scripts/lib/results.awk has to see each way in which a test ends in ctest's log, those included that nobody says.
#
#   check_results.sh ROOT
set -euo pipefail
cd "$1"

# entry NAME OUTPUT VERDICT: what ctest writes of one of its tests.
entry() {
  printf '%s\n' '----------------------------------------------------------' "1/9 Testing: $1" "1/9 Test: $1" \
    'Command: "program"' "\"$1\" start time: now" 'Output:' '----------------------------------------------------------'
  printf '%b\n' "$2"
  printf '%s\n' '<end of output>' 'Test time =   1.50 sec' '----------------------------------------------------------'
  printf '%b\n' "$3" "\"$1\" end time: now"
}
log() {
  entry unit.0 '[ RUN      ] A.Passes\n[       OK ] A.Passes (3 ms)
[ RUN      ] A.Prints\nwithout an end of line[       OK ] A.Prints (4 ms)
[ RUN      ] A.IsSkipped\n[  SKIPPED ] A.IsSkipped (0 ms)
[ RUN      ] A.Fails/0\nunit.cpp:7: Failure\n[  FAILED  ] A.Fails/0, where GetParam() = "a (b)" (5 ms)
[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.Fails/0, where GetParam() = "a (b)"' 'Test Failed.'
  entry unit.1 '[ RUN      ] A.Dies\n[       OK ] A.DiesNot (1 ms)\nSegmentation fault' 'Test Failed.'
  entry unit.2 '[ RUN      ] A.Leaks\n[       OK ] A.Leaks (6 ms)\nLeakSanitizer: detected memory leaks' 'Test Failed.'
  entry unit.3 '[ RUN      ] A.LeavesEarlyWithSuccess' 'Test Passed.'
  entry unit.4 '' 'Test Failed.'
  entry Compile.refuses 'refused' 'Test Passed.'
  entry help 'Usage' 'Test Pass Reason:\nRequired regular expression found. Regex=[Usage]'
  entry lost 'Usage' 'Test Fail Reason:\nRequired regular expression not found. Regex=[lost]'
}
diff - <(log | awk -f scripts/lib/results.awk) <<'RESULTS'
3 passed A.Passes
4 passed A.Prints
0 skipped A.IsSkipped
5 failed A.Fails/0
1500 died A.Dies
6 passed A.Leaks
1500 failed unit.2
1500 died A.LeavesEarlyWithSuccess
1500 failed unit.4
1500 passed Compile.refuses
1500 passed help
1500 failed lost
RESULTS
