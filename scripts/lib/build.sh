# shellcheck shell=bash disable=SC2034
# Sourced by the commands in scripts/: packages that are installed when missing, and build folders.

# What building and running the command takes.
demo_packages=(
  g++ cmake ninja-build
  libsqlite3-dev libsqlitecpp-dev libboost1.81-dev
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

# Prints those of the given packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    if ! dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
      echo "$package"
    fi
  done
}

# Installs what is missing of the given packages; calls apt-get for nothing else.
# Stops, naming them, where that cannot be done.
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
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
    "${missing[@]}"
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
