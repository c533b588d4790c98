#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Tests on a real cluster: that of KUBECONFIG if it is set, whose nodes must have the
# images, and else a node that this script brings up from nothing and takes down again.
# E2E_TIMEOUT bounds the tests. Needs root, and a Debian for its packages.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/e2e
mkdir -p "$out"
timeout=${E2E_TIMEOUT:-10m}
lap() { echo "[$((SECONDS))s] $*"; }

run() {
	local failed=0
	go test -C test/e2e -tags e2e -count=1 -timeout "$timeout" -v . || failed=$?
	if [ "$failed" -ne 0 ]; then
		kubectl get pods,services,endpointslices -A -o wide || true
		kubectl get events -A --sort-by=.lastTimestamp | tail -n 50 || true
		kubectl get pods -A -o jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name}{"\n"}{end}' |
			while read -r namespace name; do
				echo "--- logs of $namespace/$name"
				kubectl logs -n "$namespace" "$name" --tail=30 || true
			done
	fi
	return "$failed"
}

if [ -n "${KUBECONFIG:-}" ]; then
	run
	exit
fi

# Debian's programs for containers.
packages=()
for p in containerd runc iptables conntrack containernetworking-plugins openssl iproute2 procps; do
	dpkg -s "$p" >/dev/null 2>&1 || packages+=("$p")
done
if [ "${#packages[@]}" -gt 0 ]; then
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi
lap "packages"

kube=$(test/e2e/kube/build.sh "${E2E_CACHE:-$out}")
lap "programs of Kubernetes"
if ! command -v kubectl >/dev/null; then
	mkdir -p "$out/bin"
	printf '#!/bin/sh\nexec "%s" kubectl "$@"\n' "$kube" >"$out/bin/kubectl"
	chmod +x "$out/bin/kubectl"
	export PATH=$PATH:$out/bin
fi

IMAGES_WITH=oci IMAGE_TAG=e2e scripts/images.sh "$out/images"
CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -C test/e2e -trimpath -ldflags='-s -w' -o "$out/images/pause/amd64" ./pause
go run -C tools ./images -dockerfile "$PWD/test/e2e/pause/Dockerfile" -binaries "$out/images/pause" \
	-name registry.e2e/pause:1 -o "$out/images/pause.tar"
lap "images"

trap 'test/e2e/node/down.sh "$out/node"; lap "node is down"' EXIT
test/e2e/node/up.sh "$out/node" "$kube" "$out"/images/*.tar
export KUBECONFIG=$out/node/keys/admin.conf E2E_NODE=$out/node
lap "node is ready"
run
lap "tests"
