#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Runs hosts and plugins of the fork and of the original library against each
# other, and prints the tables and figures, also of a run that failed.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
report=$PWD/build/interop.txt
rm -f "$report"
status=0
INTEROP_REPORT=$report go test -C test/interop -race -count=1 -timeout 60m ./... || status=$?
if [ -f "$report" ]; then
	grep -v '^point' "$report" || true
	grep '^point' "$report" | sort || true
fi
exit "$status"
