#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds two Go shared objects and a program that opens one of them, into a
# directory, and runs it. PLUGIN_NUMBER says which one: 1 or 2.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to build to}
export CGO_ENABLED=1 # the plugin package needs dlopen
for n in 1 2; do
	go build -trimpath -buildmode=plugin -o "$out/plugin$n.so" "./pluginso/demo/plugin$n"
done
go build -trimpath -o "$out/demo" ./pluginso/demo
"$out/demo" "$out"
