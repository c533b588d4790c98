#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the host and the plugins as static binaries into a directory.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to build to}
export CGO_ENABLED=0
go build -trimpath -o "$out/basic" ./host
go build -trimpath -o "$out/greeter-en.po" ./plugin
go build -trimpath -o "$out/greeter-zh.po" ./pluginzh
