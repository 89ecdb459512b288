#!/usr/bin/env bash
# check_sleeps.sh has to notice each way to sleep, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

echo 'clock.sleep_until(deadline); the_sleeper(); // asleep' >"$tree/test.cpp"
bash "$here/check_sleeps.sh" "$tree"
for line in 'std::this_thread::sleep_for(1ms);' 'std::this_thread::sleep_until(then);' 'usleep(5);' '::sleep(1);' \
  'nanosleep(&time, nullptr);'; do
  echo "$line" >"$tree/test.cpp"
  if bash "$here/check_sleeps.sh" "$tree" >/dev/null; then
    echo "check_sleeps.sh does not see: $line" >&2
    exit 1
  fi
done
rm "$tree/test.cpp"
if bash "$here/check_sleeps.sh" "$tree" 2>/dev/null; then
  echo "check_sleeps.sh passes an empty folder" >&2
  exit 1
fi
