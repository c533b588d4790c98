#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Answers the five questions of docs/compatibility.md with real binaries, old and
# new, and prints what ran and what came of it.
set -euo pipefail
cd "$(dirname "$0")/../test/compat"
go test -race -count=1 -timeout 60m -v ./... | grep -Ev '^=== |^PASS$|no test files'
