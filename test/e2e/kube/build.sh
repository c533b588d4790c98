#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the programs of a node, Kubernetes' and containerd's, once for each state of this
# module: build.sh DIRECTORY. Prints the directory with kube, containerd, its shim and ctr. The
# first build takes minutes.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p "$1"
out=$(cd "$1" && pwd)
containerd=v2.4.2
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=${version#v1.}
programs=$out/kube-$(cat ./*.go go.mod go.sum build.sh | sha256sum | cut -c1-12)
if [ ! -d "$programs" ]; then
	export CGO_ENABLED=0
	rm -rf "$programs.new"
	mkdir "$programs.new"
	p=k8s.io/component-base/version
	go build -trimpath -o "$programs.new/kube" \
		-ldflags="-s -w -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=${minor%%.*}" .
	# Debian's containerd has no image volumes. Its module has no replace directives, so it can be
	# built by its name, with the versions that it asks for itself.
	c=github.com/containerd/containerd/v2
	for program in containerd ctr containerd-shim-runc-v2; do
		GOBIN=$programs.new go install -trimpath -tags 'urfave_cli_no_docs osusergo netgo static_build' \
			-ldflags="-s -w -X $c/version.Version=$containerd" "$c/cmd/$program@$containerd"
	done
	mv "$programs.new" "$programs"
fi
echo "$programs"
