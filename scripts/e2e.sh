#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Tests on a real cluster: that of KUBECONFIG if it is set, and else a node that this
# script brings up from nothing and takes down again, which needs root and a Debian.
#
#   scripts/e2e.sh           all of it
#   scripts/e2e.sh images    only the images' archives, for the nodes of your cluster
#
# E2E_MINUTES bounds all of it (45: on a machine that has built nothing yet, Kubernetes
# alone takes some 15 minutes of two cores). E2E_RUN chooses tests, as go test -run does.
# E2E_KUBERNETES is the node's version of Kubernetes: 1.37, or 1.34. E2E_PROXY_MODE is
# kube-proxy's mode on that node: iptables, or nftables.
# E2E_CACHE is where the programs of Kubernetes are kept (build/e2e). KEEP=1 leaves the
# node up and says how to use it and how to end it. IMAGE_ARCH is the architecture of
# the nodes, if it is not this machine's. Exits with 77 where the machine does not let
# anybody bring up a node.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/e2e
node=$out/node
mkdir -p "$out"
minutes=${E2E_MINUTES:-45}
case $minutes in
'' | *[!0-9]*)
	echo "E2E_MINUTES=$minutes: want a number of minutes" >&2
	exit 2
	;;
esac
end=$((minutes * 60))
lap() { echo "[${SECONDS}s] $*"; }

# bounded COMMAND...: it and all that it starts end with the time, and with this script.
child='' mine=''
bounded() {
	timeout --kill-after=10 "$((end > SECONDS ? end - SECONDS : 1))" "$@" &
	child=$!
	local status=0
	wait "$child" || status=$?
	child=''
	if [ "$status" -eq 124 ]; then
		echo "e2e: the $minutes minutes were over in $1: E2E_MINUTES gives more, and what was compiled is kept for the next run" >&2
	fi
	return "$status"
}
leave() {
	if [ -n "$child" ]; then
		kill "$child" 2>/dev/null || true
		wait "$child" || true
	fi
	if [ -n "$mine" ] && [ "${KEEP:-}" = 1 ]; then
		echo "the node stays up: export KUBECONFIG=$KUBECONFIG"
		echo "to end it: $PWD/test/e2e/node/down.sh $node"
	elif [ -n "$mine" ]; then
		test/e2e/node/down.sh "$node"
		lap "node is down"
	fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

images() {
	local arch each
	arch=${IMAGE_ARCH:-$(go env GOARCH)}
	IMAGES_WITH=oci IMAGE_TAG=e2e IMAGE_ARCH=$arch scripts/images.sh "$out/images"
	for each in pause version1; do
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -C test/e2e -trimpath -buildvcs=false -ldflags='-s -w' -o "$out/images/$each/$arch" "./$each"
	done
	go run -C tools ./images -dockerfile "$PWD/test/e2e/pause/Dockerfile" -binaries "$out/images/pause" \
		-name registry.e2e/pause:1 -o "$out/images/pause.tar"
	go run -C tools ./images -dockerfile "$PWD/Dockerfile.plugin" -build-arg PLUGIN=pluginzh -binaries "$out/images/version1" \
		-notice "$out/images/pluginzh.NOTICE" \
		-name docker.io/library/pluginzh-version1:e2e -o "$out/images/pluginzh-version1.tar"
	# A plugin of somebody else, in the image that he has made, and that image as Dockerfile.expose
	# makes a network plugin of it.
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -C test/e2e/upstream -trimpath -buildvcs=false -ldflags='-s -w' -o "$out/images/greeter/$arch" .
	go run -C tools ./images -dockerfile "$PWD/test/e2e/upstream/Dockerfile" -binaries "$out/images/greeter" \
		-name docker.io/library/greeter:e2e -o "$out/images/greeter.tar"
	go run -C tools ./images -dockerfile "$PWD/Dockerfile.expose" -base "$out/images/greeter.tar" -build-arg EXECUTABLE=/greeter \
		-build-arg COOKIE=BASIC_PLUGIN=hello -binaries "$out/images/basic" -name docker.io/library/greeter-exposed:e2e -o "$out/images/greeter-exposed.tar"
	# What is linked with this machine's glibc can be made for its architecture alone.
	rm -f "$out/images/basic-so.tar" "$out/images/greeter-so.tar"
	if [ "$arch" = "$(go env GOARCH)" ]; then objects "$arch"; fi
	earlier "$arch"
}

# objects ARCH: a host that loads shared objects, and one, as Dockerfile.so says.
objects() {
	local built=$out/objects
	scripts/build-so.sh "$built"
	for each in basic-so greeter-so; do mkdir -p "$out/images/$each"; done
	cp "$built/basic-so" "$out/images/basic-so/$1"
	cp "$built/greeter-so.so" "$out/images/greeter-so/$1"
	go run -C tools ./images -dockerfile "$PWD/Dockerfile.so" -target host -binaries "$out/images/basic-so" \
		-notice "$out/images/basic.NOTICE" -name docker.io/library/basic-so:e2e -o "$out/images/basic-so.tar"
	go run -C tools ./images -dockerfile "$PWD/Dockerfile.so" -target object -binaries "$out/images/greeter-so" \
		-notice "$out/images/basic.NOTICE" -name docker.io/library/greeter-so:e2e -o "$out/images/greeter-so.tar"
}

# earlier ARCH: the images of an earlier commit, as it builds them, and its manifests.
earlier() {
	local commit tree each
	rm -rf "$out/earlier" "$out"/images/*-earlier.tar
	local status=0
	commit=$(scripts/earlier.sh) || status=$?
	[ "$status" -ne 77 ] || return 0 # it has said why
	[ "$status" -eq 0 ] || return "$status"
	tree=$(mktemp -d)
	git archive "$commit" | tar -x -C "$tree"
	IMAGES_WITH=oci IMAGE_TAG=earlier IMAGE_ARCH=$1 "$tree/scripts/images.sh" "$tree/images"
	for each in basic pluginzh; do mv "$tree/images/$each.tar" "$out/images/$each-earlier.tar"; done
	mkdir "$out/earlier"
	mv "$tree/deploy" "$out/earlier/deploy"
	echo "$commit" >"$out/earlier/commit"
	rm -rf "$tree"
}

# Tests dump what concerns them; this is for those that were cut short.
dump() {
	local k="kubectl --request-timeout=10s" namespace name
	$k get nodes,pods,services,endpointslices -A -o wide || true
	$k get events -A --sort-by=.lastTimestamp | tail -n 50 || true
	$k get pods -A -o jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name}{"\n"}{end}' |
		while read -r namespace name; do
			echo "--- logs of $namespace/$name"
			$k logs -n "$namespace" "$name" --all-containers --tail=10 || true
		done
}

run() {
	local failed=0
	if [ -d "$out/earlier" ]; then export E2E_EARLIER=$out/earlier; fi
	bounded go test -C test/e2e -tags e2e -c -o "$out/e2e.test" .
	# A minute less than there is, for the dump.
	bounded env -C test/e2e "$out/e2e.test" -test.run "${E2E_RUN:-.}" -test.timeout "$((end > SECONDS + 120 ? end - SECONDS - 60 : 60))s" -test.v || failed=$?
	if [ "$failed" -ne 0 ]; then
		dump 2>&1 || true
		if [ -d "$node/log" ]; then echo "what the node's programs logged is in $node/log"; fi
	fi
	lap "tests"
	return "$failed"
}

if [ "${1:-}" = images ]; then
	images
	exit
fi
if [ -n "${KUBECONFIG:-}" ]; then
	run
	exit
fi

bounded test/e2e/node/prepare.sh "$out"
if pid=$(cat "$node/node.pid" 2>/dev/null) && grep -qa ^unshare "/proc/$pid/cmdline" 2>/dev/null; then
	echo "e2e: a node is up already: test/e2e/node/down.sh $node ends it" >&2
	exit 1
fi
lap "packages"
bounded test/e2e/kube/build.sh "${E2E_CACHE:-$out}" >"$out/programs.path"
programs=$(cat "$out/programs.path")
lap "programs of Kubernetes and containerd"
# One of another version may lack what the manifests ask of kustomize.
mkdir -p "$out/bin"
printf '#!/bin/sh\nexec "%s" kubectl "$@"\n' "$programs/kube" >"$out/bin/kubectl"
chmod +x "$out/bin/kubectl"
bounded test/e2e/kube/helm.sh "${E2E_CACHE:-$out}" >"$out/helm.path"
ln -sf "$(cat "$out/helm.path")" "$out/bin/helm"
export PATH=$out/bin:$PATH
lap "helm"

bounded "$0" images
lap "images"
mine=1 KUBECONFIG=$node/keys/admin.conf
bounded test/e2e/node/up.sh "$node" "$programs" "$out"/images/*.tar
export KUBECONFIG E2E_NODE=$node
lap "node is ready"
run
