#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Fuzzes every target of the given modules, one after the other, for some time each.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
shift
for module in "$@"; do
	for file in $(grep -rl --include='*_test.go' '^func Fuzz' "$module" | sort -u); do
		dir=$(dirname "$file")
		# A module's directory may hold other modules: leave those to their turn.
		[ "$(cd "$dir" && dirname "$(go env GOMOD)")" = "$(cd "$module" && pwd)" ] || continue
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			echo "== $dir $target"
			(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" .)
		done
	done
done
