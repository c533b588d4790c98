#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Tests the fork with the oldest Go and the oldest dependencies that its go.mod allows,
# and with the newest that this repository knows: those of the host's go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest="go$(go -C forks/go-plugin list -m -f '{{.GoVersion}}')"
case "$oldest" in *.*.*) ;; *) oldest+=.0 ;; esac

(
	export GOTOOLCHAIN="$oldest"
	echo "oldest: $oldest, $(go -C forks/go-plugin list -m google.golang.org/grpc)"
	go -C forks/go-plugin build ./...
	go -C forks/go-plugin vet ./...
	go -C forks/go-plugin test -count=1 ./...
)

echo "newest: $(go env GOVERSION), $(go list -m google.golang.org/grpc)"
go test -count=1 github.com/hashicorp/go-plugin/...
