#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Looks over the modules in the given directories, without running their tests.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/analyse.sh
export GOFLAGS="${GOFLAGS:-} -tags=e2e" # test/e2e has its tests behind it

failed=0
step() { # NAME COMMAND...: runs a command that must succeed and print nothing
	local name=$1 out status=0
	shift
	out=$("$@" 2>&1) || status=$?
	# On a fresh machine the go command also says what it fetches.
	out=$(grep -v '^go: downloading ' <<<"$out") || true
	if [ "$status" -eq 0 ] && [ -z "$out" ]; then
		echo "  ok    $name"
		return
	fi
	echo "  FAIL  $name"
	printf '%s\n' "$out" | sed 's/^/        /'
	failed=1
}

# Only what belongs to this module: gofmt -l would walk into nested ones.
go_files() { go list -f '{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{range .CgoFiles}}{{$d}}/{{.}}
{{end}}{{range .TestGoFiles}}{{$d}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}
{{end}}' ./... | grep .; }
formatted() { go_files | xargs gofmt -l; }

for module in "$@"; do
	echo "== $module"
	pushd "$module" >/dev/null
	step gofmt formatted
	step "go vet" analyse "$module" go vet ./...
	step "go mod tidy" go mod tidy -diff
	popd >/dev/null
done
echo "== the repository's shape"
if ! go test -race -count=1 ./test/shape; then
	failed=1
fi
exit "$failed"
