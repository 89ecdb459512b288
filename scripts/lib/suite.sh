# shellcheck shell=bash
# Sourced by the commands in scripts/ that run tests, after build.sh.

# budget_of STAGE: the seconds that tests/README.md gives it, or nothing.
budget_of() {
  awk -F '|' -v "stage=$1" '{ gsub(/[ `]/, "", $2) } $2 == stage { print $3 + 0; exit }' tests/README.md
}

# run_suite PRESET [CTEST ARGUMENT…]: runs the tests of a tree, and prints a line a test and the ten slowest.
#
# Fails unless each of them has ended well, those included that took down a process which says that it succeeded. The
# output of what has failed is ctest's, above the lines.
run_suite() {
  local preset=$1 status=0
  shift
  local results=build/$preset/results.txt
  ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error --timeout "${SQLANE_TESTS_TIMEOUT:-600}" "$@" ||
    status=$?
  awk -f scripts/lib/results.awk "build/$preset/Testing/Temporary/LastTest.log" >"$results"
  echo
  awk '{ $1 = sprintf("%7d ms", $1); print }' "$results"
  printf '\nThe ten slowest of %s:\n' "$preset"
  sort -rn "$results" | awk 'NR <= 10 { $1 = sprintf("%7d ms", $1); print }'
  awk '
    { count[$2]++ }
    $2 == "failed" || $2 == "died" { sub(/^[0-9]+ /, ""); unhappy = unhappy $0 "\n" }
    END {
      printf "\n%d passed, %d failed, %d skipped\n%s", count["passed"], count["failed"] + count["died"], count["skipped"], unhappy
      exit unhappy != ""
    }' "$results" || status=1
  return "$status"
}

# sources_of FILE: the sources in src/ that clang-tidy sees a C++ file through. For a header, those of its name, or else one
# that includes it, or else the one that includes all public headers.
sources_of() {
  local file=$1 name found
  name=$(basename "${file%.*}").cpp
  case $file in
    src/*.cpp) echo "$file" ;;
    include/sqlane/*.hpp | src/*.hpp)
      found=$(find src -name "$name")
      if [[ -z $found ]]; then
        found=$({ grep -rlF --include='*.cpp' "\"${file#*/}\"" src || true; } | sed -n 1p)
      fi
      echo "${found:-src/database/database.cpp}"
      ;;
  esac
}

# run_tidy FILE…: clang-tidy over the sources of the library and the command that have to do with these files. Each source
# is compiled without the headers that a build precompiles, so it has to include what it needs.
run_tidy() {
  cmake --preset tidy >/dev/null # each time: nothing is built there that would notice a new source
  local file
  local -a candidates sources=()
  mapfile -t candidates < <(for file in "$@"; do sources_of "$file"; done | sort -u)
  for file in "${candidates[@]}"; do
    if ! grep -qF "\"file\": \"$PWD/$file\"" build/tidy/compile_commands.json; then
      echo "clang-tidy cannot look at $file: nothing is built from it" >&2
      return 1
    fi
    sources+=("$file")
  done
  if ((${#sources[@]} == 0)); then
    echo "No C++ source to look at"
    return
  fi
  printf '%s\n' "${sources[@]}" |
    xargs --max-procs "$(nproc)" --max-args 1 clang-tidy --quiet --warnings-as-errors='*' -p build/tidy
}
