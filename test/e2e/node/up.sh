#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Brings a cluster of one node up in namespaces of its own, and waits until the node
# is ready: up.sh DIRECTORY PROGRAMS IMAGE... Needs root. PROGRAMS is what kube/build.sh has
# built. E2E_PROXY_MODE is kube-proxy's: iptables, or nftables. DIRECTORY/keys/admin.conf is
# the kubeconfig; down.sh DIRECTORY ends it.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$1 PROGRAMS=$2 KUBE=$2/kube
shift 2
IMAGES=$* ADDRESS=10.199.7.2 NODE=e2e-node PROXY_MODE=${E2E_PROXY_MODE:-iptables}
case $PROXY_MODE in
iptables | nftables) ;;
*)
	echo "E2E_PROXY_MODE=$PROXY_MODE: want iptables or nftables" >&2
	exit 2
	;;
esac
# What this version has, but not by default.
FEATURE_GATES= version=$("$KUBE" kube-apiserver --version)
case $version in
"Kubernetes v1.34."*) FEATURE_GATES=ImageVolume=true ;;
esac
export HERE DIR PROGRAMS KUBE IMAGES ADDRESS NODE PROXY_MODE FEATURE_GATES
if pid=$(cat "$DIR/node.pid" 2>/dev/null) && grep -qa ^unshare "/proc/$pid/cmdline" 2>/dev/null; then
	echo "a node is up already: $HERE/down.sh $DIR ends it" >&2
	exit 1
fi
"$HERE/down.sh" "$DIR" # what a run left behind that was killed
rm -rf "$DIR"
mkdir -p "$DIR/log"

# The kubelet writes settings of the machine; down.sh puts them back.
for name in vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops \
	kernel.keys.root_maxkeys kernel.keys.root_maxbytes; do
	echo "$name=$(sysctl -n $name)"
done >"$DIR/sysctl"

# Directories that the programs insist on, parents first; down.sh removes those that
# were not there.
for path in /etc/cni /etc/cni/net.d /opt/containerd /opt/containerd/bin /opt/containerd/lib \
	/run/containerd /run/netns /var/lib/cni /var/lib/containerd /var/lib/kubelet \
	/var/log/containers /var/log/pods; do
	[ -e "$path" ] || echo "$path"
done >"$DIR/made"

"$HERE/certs.sh" "$DIR/keys" "$ADDRESS" "$NODE"
unshare --mount --net --pid --uts --ipc --fork --kill-child=KILL --mount-proc \
	"$HERE/init.sh" >"$DIR/log/init.log" 2>&1 &
outer=$!
echo "$outer" >"$DIR/node.pid"
# The child of unshare is in the new namespaces once its network is another one.
until init=$(pgrep -P "$outer") && [ "$(readlink "/proc/$init/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
	sleep 0.02
done
echo "$init" >"$DIR/init.pid"
ip link add e2e-node type veth peer name eth0 netns "$init"
ip addr add 10.199.7.1/30 dev e2e-node
ip link set e2e-node up

ready() {
	[ "$(kubectl --kubeconfig="$DIR/keys/admin.conf" get node "$NODE" \
		-o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}
for _ in $(seq 600); do
	if ready; then exit; fi
	if ! kill -0 "$outer" 2>/dev/null; then break; fi
	sleep 0.2
done
echo "the node does not become ready; what it logs is in $DIR/log" >&2
tail -n 3 "$DIR"/log/*.log >&2
exit 1
