#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the greeter as a shared object, and a host that can load it, into a
# directory. Both need cgo, and the very same flags: the static host that
# build.sh makes says that shared objects are off, and goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to build to}
export CGO_ENABLED=1
go build -trimpath -o "$out/basic-so" ./host
go build -trimpath -buildmode=plugin -o "$out/greeter-so.so" ./pluginso
