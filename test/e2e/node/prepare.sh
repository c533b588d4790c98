#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Looks whether this machine lets a node be brought up, and installs the programs that
# it takes: prepare.sh DIRECTORY, which is where the node will write. Exits with 77
# where it is not possible, and says why; any other failure is one.
set -euo pipefail
dir=$1

impossible() {
	echo "e2e skipped: this machine cannot bring up a node: $*. KUBECONFIG names a cluster to test on instead"
	exit 77
}

# attempt WHAT COMMAND...: names what is impossible if the command fails.
attempt() {
	local what=$1 said
	shift
	if ! said=$("$@" 2>&1); then impossible "$what ($(tail -n 1 <<<"$said"))"; fi
}

# apart SCRIPT: runs it in namespaces like those of the node, which end with it.
apart() { unshare --mount --net --pid --uts --ipc --fork --kill-child=KILL --mount-proc bash -euc "$1" apart "$dir"; }

[ "$(uname -s)" = Linux ] || impossible "it takes Linux"
[ "$(id -u)" = 0 ] || impossible "it takes root"
attempt "new namespaces are refused" apart true
attempt "mounts are refused" apart 'mount --make-rprivate /; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run'
attempt "there is no /dev/kmsg for the kubelet" head -c 0 /dev/kmsg
attempt "containerd could not overlay file systems in $dir" apart '
	mount --make-rprivate /
	layers=$(mktemp -d "$1/layers.XXXXXX")
	trap "rm -rf $layers" EXIT
	mkdir "$layers/lower" "$layers/upper" "$layers/work" "$layers/merged"
	mount -t overlay overlay -o "lowerdir=$layers/lower,upperdir=$layers/upper,workdir=$layers/work" "$layers/merged"
	umount "$layers/merged"'

# Groups of processes can be made, each with bounds of its own.
grouped() {
	local at=/sys/fs/cgroup each
	if [ -e "$at/cgroup.controllers" ]; then
		mkdir "$at/e2e-probe" || return
		for each in cpu memory pids; do
			grep -qw "$each" "$at/e2e-probe/cgroup.controllers" || echo "+$each" >"$at/cgroup.subtree_control" || break
		done
		rmdir "$at/e2e-probe"
		grep -qw "$each" "$at/cgroup.subtree_control"
		return
	fi
	for each in cpu memory pids devices; do
		mkdir "$at/$each/e2e-probe" || return
		rmdir "$at/$each/e2e-probe"
	done
}
attempt "cgroups cannot be made" grouped

# Debian's programs for containers.
packages=()
for p in runc iptables nftables conntrack containernetworking-plugins openssl iproute2 procps; do
	dpkg -s "$p" >/dev/null 2>&1 || packages+=("$p")
done
if [ "${#packages[@]}" -gt 0 ]; then
	command -v apt-get >/dev/null || impossible "it takes the Debian packages ${packages[*]}"
	apt-get update -q
	apt-get install -qy --no-install-recommends "${packages[@]}"
fi

attempt "networks cannot be made" apart '
	ip link add one type veth peer name other
	ip link add bridge type bridge
	sysctl -qw net.ipv4.ip_forward=1
	iptables -t nat -A POSTROUTING -m comment --comment probe -j MASQUERADE'
if [ "${E2E_PROXY_MODE:-}" = nftables ]; then
	attempt "nftables do not work" apart '
		nft add table ip probe
		nft add chain ip probe nat "{ type nat hook prerouting priority dstnat; }"
		nft add rule ip probe nat fib daddr type local numgen random mod 2 vmap "{ 0 : accept, 1 : drop }"'
fi
