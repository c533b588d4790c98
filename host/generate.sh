#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Writes the table of the host's environment into docs/reference.md.
set -euo pipefail
cd "$(dirname "$0")"
go test -count=1 -run '^TestEnvironmentTable$' . -args -write
