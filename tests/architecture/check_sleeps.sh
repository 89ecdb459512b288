#!/usr/bin/env bash
# Tests wait for events, never for time to pass: no sleep in the C++ files below FOLDER.
#
#   check_sleeps.sh FOLDER    prints each one, and fails when there is one
set -euo pipefail
if [[ -z $(find "$1" -name '*.[ch]pp' -print -quit) ]]; then
  echo "There is nothing to check in $1" >&2
  exit 2
fi
! grep -rnE --include='*.cpp' --include='*.hpp' '\b(sleep_for|usleep|nanosleep|this_thread::sleep_until)\b|\bsleep\(' "$1"
