#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the library and the commands for systems on which no test runs here, and looks
# at the fork's tests for them.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
for platform in linux/arm64 darwin/arm64 windows/amd64; do
	export GOOS=${platform%/*} GOARCH=${platform#*/}
	echo "== $platform"
	go build ./...
	go -C cmd/reattach build ./...
	go -C forks/go-plugin vet ./...
done
