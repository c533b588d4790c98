#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Writes the tables of the host's environment, and of that of traces, into docs/reference.md.
set -euo pipefail
cd "$(dirname "$0")"
go test -count=1 -run '^TestEnvironmentTable$' . -args -write
go test -count=1 -run '^TestVariables$' ../tracing -args -write
