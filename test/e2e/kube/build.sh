#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the programs of Kubernetes into a directory, once for each state of this
# module, and prints the file: build.sh DIRECTORY. The first build takes minutes.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p "$1"
out=$(cd "$1" && pwd)
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
file=$out/kube-$(cat ./*.go go.mod go.sum build.sh | sha256sum | cut -c1-12)
if [ ! -x "$file" ]; then
	p=k8s.io/component-base/version
	CGO_ENABLED=0 go build -trimpath -o "$file.new" \
		-ldflags="-s -w -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=${minor%%.*}" .
	mv "$file.new" "$file"
fi
echo "$file"
