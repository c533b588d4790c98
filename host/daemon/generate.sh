#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Writes the library's example into the README.
set -euo pipefail
cd "$(dirname "$0")"
go test -count=1 -run '^TestReadmeExample$' . -args -write
