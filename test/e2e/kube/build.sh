#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the programs of a node, Kubernetes' and containerd's, once for each state of this
# module: build.sh DIRECTORY. Prints the directory with kube, containerd, its shim and ctr. The
# first build takes minutes. E2E_KUBERNETES is the minor version of Kubernetes, such as 1.34: that
# of go.mod, or one that has a v1.34.mod of its own beside it, for the same sources.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p "$1"
out=$(cd "$1" && pwd)
containerd=v2.4.2

# pinned FILE: the version of Kubernetes that a go.mod asks for.
pinned() { go list -modfile="$1" -m -f '{{.Version}}' k8s.io/kubernetes; }

mod=go.mod version=$(pinned go.mod)
wanted=${E2E_KUBERNETES:-${version%.*}}
wanted=${wanted#v}
if [ "${version%.*}" != "v$wanted" ]; then
	mod=v$wanted.mod
	if [ ! -e "$mod" ]; then
		others=$(ls v*.mod)
		echo "E2E_KUBERNETES=$E2E_KUBERNETES: want ${version%.*}, or one of ${others//.mod/}" >&2
		exit 2
	fi
	version=$(pinned "$mod")
fi
minor=${version#v1.}
programs=$out/kube-$(cat ./*.go "$mod" "${mod%.mod}.sum" build.sh | sha256sum | cut -c1-12)
if [ ! -d "$programs" ]; then
	export CGO_ENABLED=0
	rm -rf "$programs.new"
	mkdir "$programs.new"
	p=k8s.io/component-base/version
	go build -modfile="$mod" -trimpath -o "$programs.new/kube" \
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
