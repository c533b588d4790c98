#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds a Go library with a C interface and a C program that opens it, into a
# directory, and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to build to}
mkdir -p "$out"
CGO_ENABLED=1 go build -trimpath -buildmode=c-shared -o "$out/libgreeter.so" ./experimental_c_plugins/greeter
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -O2 -o "$out/host" experimental_c_plugins/host/host.c -ldl
"$out/host" "$out/libgreeter.so" "${NAME:-Ada}"
