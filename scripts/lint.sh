#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Runs golangci-lint, as .golangci.yml sets it, over the modules in the given
# directories. It is built into build/tools once, which takes two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.15.0
bin=$PWD/build/tools/golangci-lint-$version
config=$PWD/.golangci.yml

if [ ! -x "$bin" ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	GOBIN=$dir GOFLAGS='' go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
	mkdir -p "${bin%/*}"
	mv "$dir/golangci-lint" "$bin"
fi
source scripts/analyse.sh
failed=0
for module in "$@"; do
	echo "== $module"
	(cd "$module" && analyse "$module" "$bin" run --config "$config" ./...) || failed=1
done
exit "$failed"
