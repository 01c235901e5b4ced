#!/usr/bin/env bash
# Runs every fuzz target for a while. FUZZTIME is for each (default 10s).
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
  dir=$(dirname "$file")
  grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
    echo "== $dir $target"
    "$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "$dir" </dev/null
  done
done
