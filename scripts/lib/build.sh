# shellcheck shell=bash disable=SC2034
# Sourced by the commands in scripts/: packages that are installed when missing, and build folders.

# What building and running the command takes.
demo_packages=(
  g++ cmake ninja-build
  libsqlite3-dev libsqlitecpp-dev
  libcli11-dev libfmt-dev nlohmann-json3-dev
  proj-data # the database that the demo works on
)

# What the tests take besides.
test_packages=(
  libgtest-dev libbenchmark-dev
  clang libclang-rt-14-dev # the sanitizers' runtimes
  llvm                     # names in the sanitizers' reports
  lld                      # links the tests' programs faster than ld
  clang-format clang-tidy shellcheck gcovr
  sqlite3 # the program that looks at our files from outside
)

# Boost.PFR is in the headers of this package. It is unpacked, not installed: Debian's usual libboost-dev is of another
# version, and installing the one removes the other.
boost_package=libboost1.81-dev

# Prints those of the given packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    if ! dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
      echo "$package"
    fi
  done
}

# Installs what is missing of the given packages, and removes none. Stops, naming them, where that cannot be done.
install_packages() {
  if [[ -n ${SQLANE_SKIP_INSTALL:-} ]]; then
    return
  fi
  local -a missing=("$@") as_root=(env)
  if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages "$@")
  fi
  if ((${#missing[@]} == 0)); then
    return
  fi
  if ((EUID != 0)); then
    as_root=(sudo env)
  fi
  if ! command -v apt-get >/dev/null || ! command -v "${as_root[0]}" >/dev/null; then
    {
      echo "These Debian packages are needed, and installing them takes apt-get, as root or through sudo:"
      echo "  ${missing[*]}"
      echo "Once they are there under other names, SQLANE_SKIP_INSTALL=1 leaves this check out."
    } >&2
    exit 1
  fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get update --quiet --quiet
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-remove \
    --no-install-recommends "${missing[@]}"
}

# provide_boost INCLUDE: lets CMake find a Boost with PFR, in build/packages where the folder INCLUDE has none.
provide_boost() {
  local include=$1 unpacked=build/packages
  if [[ -e $include/boost/pfr.hpp ]]; then
    return
  fi
  if [[ ! -e $unpacked/usr/include/boost/pfr.hpp ]]; then
    if [[ -n ${SQLANE_SKIP_INSTALL:-} ]]; then
      return
    fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
      echo "Boost 1.75 or newer is needed, for the headers of its PFR. SQLANE_SKIP_INSTALL=1 leaves this check out." >&2
      exit 1
    fi
    echo "Unpacking the headers of Boost.PFR to $unpacked"
    rm -rf "$unpacked"
    mkdir -p "$unpacked"
    (
      cd "$unpacked" || exit
      apt-get download --quiet --quiet "$boost_package"
      dpkg --fsys-tarfile "$boost_package"_*.deb | tar --extract --wildcards './usr/lib/*/cmake/Boost*' \
        './usr/lib/*/cmake/boost_headers-*' ./usr/include/boost/version.hpp './usr/include/boost/pfr*'
      rm "$boost_package"_*.deb
    )
  fi
  export CMAKE_PREFIX_PATH=$PWD/$unpacked/usr${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
}

# configure PRESET [ARGUMENT…]: unless that has been done; a build looks after changes in the CMake files itself.
configure() {
  local preset=$1
  shift
  local done_file=build/$preset/build.ninja
  if [[ ! -e $done_file || CMakePresets.json -nt $done_file ]]; then
    cmake --preset "$preset" "$@"
  fi
}
