#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds helm, once for each version: helm.sh DIRECTORY. Prints its path.
set -euo pipefail
version=v3.22.0
mkdir -p "$1"
out=$(cd "$1" && pwd)/helm-$version
if [ ! -x "$out/helm" ]; then
	# Its module has no replace directives, so it can be built by its name.
	v=helm.sh/helm/v3/internal/version
	GOBIN=$out CGO_ENABLED=0 go install -trimpath -ldflags="-s -w -X $v.version=$version" "helm.sh/helm/v3/cmd/helm@$version"
fi
echo "$out/helm"
