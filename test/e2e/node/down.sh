#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Ends what up.sh brought up, and leaves the machine as it was: down.sh DIRECTORY.
set -uo pipefail
dir=${1:?the directory of the node}
[ -e "$dir/node.pid" ] || exit 0
node=$(cat "$dir/node.pid")
# With the first process of its namespaces, all others end. After a crash of the machine
# the number may be somebody else's.
lives() { grep -qa ^unshare "/proc/$node/cmdline" 2>/dev/null; }
if lives; then pkill -KILL -P "$node"; fi
for _ in $(seq 200); do
	lives || break
	sleep 0.05
done
if lives; then
	echo "process $node, the first of the node, does not end: kill -KILL it and run $0 $dir again" >&2
	exit 1
fi
ip link delete e2e-node 2>/dev/null
while IFS= read -r setting; do sysctl -qw "$setting"; done <"$dir/sysctl"
for _ in $(seq 20); do
	left=$(find /sys/fs/cgroup -maxdepth 2 -type d \( -name kubepods -o -name k8s.io \) 2>/dev/null)
	[ -n "$left" ] || break
	# shellcheck disable=SC2086
	find $left -depth -type d -exec rmdir {} + 2>/dev/null
	sleep 0.1
done
if [ -n "$left" ]; then echo "cgroups of pods stay, as processes are still in them:" "$left" >&2; fi
# Directories that were not there before; those in use stay.
tac "$dir/made" 2>/dev/null | xargs -r rmdir 2>/dev/null
rm -f "$dir"/*.pid
exit 0
