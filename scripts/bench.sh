#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Measures what plugin calls cost, and leaves the tables, the raw data and a plot in
# build/bench. Arguments are those of test/bench/cmd/bench, such as -quick.
set -euo pipefail
cd "$(dirname "$0")/../test/bench"
go run ./cmd/bench -out ../../build/bench "$@"
