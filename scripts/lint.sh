#!/usr/bin/env bash
# gofmt, go vet, then golangci-lint with the rules of .golangci.yml (staticcheck is
# one of them). The linter is run by version through the Go toolchain, so nothing has
# to be installed; LINT=fast leaves it out.
set -uo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
code=0
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'not gofmt-ed:\n%s\n' "$unformatted"
  code=1
fi
"$GO" vet ./... || code=1
if [ "${LINT:-}" != fast ]; then
  "$GO" run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./... || code=1
fi
exit $code
