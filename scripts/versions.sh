#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Tests the fork with the oldest Go and the oldest dependencies that its go.mod allows,
# and with the newest that this repository knows: those of the host's go.mod. Both run side
# by side, each with half as many packages at once: the tests wait longer than they compute.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest="go$(go -C forks/go-plugin list -m -f '{{.GoVersion}}')"
case "$oldest" in *.*.*) ;; *) oldest+=.0 ;; esac
half=$((($(nproc) + 1) / 2))

set -m # each is a group of processes, which ends with this script
logs=$(mktemp -d)
declare -A running
leave() {
	local each
	for each in "${running[@]}"; do kill -- "-$each" 2>/dev/null || true; done
	rm -rf "$logs"
}
trap leave EXIT
(
	export GOTOOLCHAIN="$oldest"
	echo "oldest: $oldest, $(go -C forks/go-plugin list -m google.golang.org/grpc)"
	go -C forks/go-plugin build ./...
	go -C forks/go-plugin vet ./...
	go -C forks/go-plugin test -count=1 -timeout 60m -p "$half" ./...
) >"$logs/oldest" 2>&1 &
running[oldest]=$!
(
	echo "newest: $(go env GOVERSION), $(go list -m google.golang.org/grpc)"
	go test -count=1 -timeout 60m -p "$half" github.com/hashicorp/go-plugin/...
) >"$logs/newest" 2>&1 &
running[newest]=$!

failed=0
for each in oldest newest; do
	wait "${running[$each]}" || failed=1
	cat "$logs/$each"
done
exit "$failed"
