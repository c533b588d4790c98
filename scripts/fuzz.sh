#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Fuzzes every target of the given modules, one after the other, for some time each,
# and says at the end which failed. ONLY=REGEXP picks some of them by name.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?how long to fuzz each target, such as 10s, and then the modules}
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=() count=0

# fuzz runs one target. To make an input small that is merely new takes up to a minute
# by default, and the time of the target with it.
fuzz() {
	(cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 1s .) 2>&1 | tee "$log"
}

# engine reports whether the run failed of nothing but its own end: before Go 1.27 the
# engine may take its deadline for a failure (golang.org/issue/75804). Then there is
# no input, and no word of the target's.
engine() {
	grep -q '^    context deadline exceeded$' "$log" && ! grep -qE 'Failing input written|panic:|_test\.go:|hung or terminated' "$log"
}

for module in "$@"; do
	for file in $(grep -rl --include='*_test.go' '^func Fuzz' "$module" | sort -u); do
		dir=$(dirname "$file")
		# A module's directory may hold other modules: leave those to their turn.
		[ "$(cd "$dir" && dirname "$(go env GOMOD)")" = "$(cd "$module" && pwd)" ] || continue
		for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
			[[ $target =~ ${ONLY:-.} ]] || continue
			echo "== $dir $target"
			count=$((count + 1))
			if fuzz "$dir" "$target"; then
				continue
			fi
			if engine; then
				echo "== $dir $target: the fuzzing engine ran into its own deadline and found nothing: once more"
				fuzz "$dir" "$target" && continue
			fi
			failed+=("$dir $target")
		done
	done
done
echo "== $count targets, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ] || { printf '%s\n' "${failed[@]}"; exit 1; }
