#!/usr/bin/env bash
# scripts/lib/build.sh never lets a package be removed, and needs no Boost to be installed: it unpacks the one that it
# takes. apt-get and dpkg are stand-ins here, which say what they were asked for.
#
#   check_packages.sh ROOT
set -euo pipefail
cd "$1"
root=$PWD
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/bin" "$tree/work" "$tree/package/usr/include/boost/pfr" "$tree/package/usr/include/boost/asio" \
  "$tree/package/usr/lib/any/cmake/Boost-1.81.0" "$tree/package/usr/lib/any/cmake/boost_headers-1.81.0" "$tree/with/boost"
touch "$tree"/package/usr/include/boost/{pfr,version}.hpp "$tree/package/usr/include/boost/asio/io.hpp" "$tree/with/boost/pfr.hpp"

stand_in() { # NAME: reads what it does
  { echo '#!/usr/bin/env bash'; cat; } >"$tree/bin/$1"
  chmod +x "$tree/bin/$1"
}
stand_in apt-get <<DOES
echo "\$*" >>"$tree/asked"
if [[ \$1 == download ]]; then touch "\${!#}_1_all.deb"; fi
DOES
stand_in dpkg <<DOES
tar --create --directory "$tree/package" .
DOES
stand_in dpkg-query <<<'echo not-installed'
stand_in sudo <<<'exec "$@"'
export PATH="$tree/bin:$PATH"
unset SQLANE_SKIP_INSTALL CMAKE_PREFIX_PATH

fail() {
  echo "$*" >&2
  exit 1
}

cd "$tree/work"
source "$root/scripts/lib/build.sh"
[[ " ${demo_packages[*]} ${test_packages[*]} " != *boost* ]] || fail "Boost is installed as a package"
install_packages a-package >/dev/null
grep -q '^install .*--no-remove .*a-package$' "$tree/asked" || fail "apt-get install may remove: $(cat "$tree/asked")"

provide_boost "$tree/with"
[[ -z ${CMAKE_PREFIX_PATH:-} && ! -e build/packages ]] || fail "a Boost that is there is not taken"
for _ in once again; do
  (
    provide_boost "$tree/without" >/dev/null
    [[ $CMAKE_PREFIX_PATH == "$tree/work/build/packages/usr" ]] || fail "CMake is not told"
  )
done
(($(grep -c '^download ' "$tree/asked") == 1)) || fail "downloaded more than once, or never"
[[ -e build/packages/usr/include/boost/pfr.hpp ]] || fail "the headers are not there"
[[ ! -e build/packages/usr/include/boost/asio ]] || fail "all of Boost is unpacked"
if grep -qE 'install .*boost' "$tree/asked"; then fail "Boost is installed"; fi
