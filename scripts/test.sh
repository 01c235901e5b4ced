#!/usr/bin/env bash
# Runs every test with the race detector and says, at the end, what was skipped
# and why. With REQUIRE_ALL=1 nothing may be skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

race=-race
if ! CGO_ENABLED=1 "$GO" env CC >/dev/null 2>&1 || ! command -v "$("$GO" env CC)" >/dev/null 2>&1; then
  race=
  echo "no C compiler: running without the race detector"
  [ "${REQUIRE_ALL:-}" = 1 ] && exit 1
fi

"$GO" test $race -timeout 15m -json "$@" ./... >"$log"
code=$?
"$GO" run ./scripts/testreport <"$log" || code=1
exit $code
