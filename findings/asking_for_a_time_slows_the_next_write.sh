#!/usr/bin/env bash
# Linux 6.18.44 (multigrain time stamps, from 6.13 on) with ext4 and tmpfs; xfs_io of Debian's xfsprogs 6.1.0-1.
#
# Expected: to ask for a file's times changes nothing: two writes within one tick of the clock (1 to 10 ms) get one time,
#           and cost the same, whether or not a stat came between them.
# Seen:     a stat leaves a mark, and the next write gives the file a time of its own, to the nanosecond. Where the file
#           is not asked, or asked without its times (STATX_SIZE), two writes share one time. In a loop on one machine a
#           write of 4 KiB after an fstat took 3.0 µs instead of 1.5 to 2.0.
# Means:    a program that looks at the length of its log by fstat after each write pays for it with the next write; one
#           that asks by statx without STATX_MTIME and STATX_CTIME does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

IFS=.- read -r major minor _ < <(uname -r)
if ((major < 6 || (major == 6 && minor < 13))); then
  echo "needs Linux 6.13 or newer, and this is $(uname -r)"
  exit 0
fi
apt-get download --quiet=2 xfsprogs=6.1.0-1 2>/dev/null
dpkg-deb -x xfsprogs_*.deb .

# Writes to each of ten files twice, in one process and so within a tick or two; says how many of them have one time with
# another. They were made some ticks before, since opening a file asks for its times.
sharing_after() { # COMMAND-OF-XFS_IO between the two writes
  local commands=()
  touch first file{1..10}
  sleep 0.1
  for i in {1..10}; do commands+=(-C "open file$i" -C "pwrite -q 0 8" -C "$1" -C "pwrite -q 0 8"); done
  usr/sbin/xfs_io "${commands[@]}" first >/dev/null
  local -i different
  different=$(stat --format=%.9Y file{1..10} | sort -u | wc -l)
  if ((different == 10)); then echo none; elif ((different <= 3)); then echo nearly all; else echo "all but $different"; fi
}
{
  echo "not asked: share a time: $(sharing_after "pread -q 0 8")"
  echo "asked for the size (STATX_SIZE): share a time: $(sharing_after "statx -r -m 0x200")"
  echo "asked for the time (STATX_MTIME): share a time: $(sharing_after "statx -r -m 0x40")"
} | tee said
diff - said <<'SAID'
not asked: share a time: nearly all
asked for the size (STATX_SIZE): share a time: nearly all
asked for the time (STATX_MTIME): share a time: none
SAID
