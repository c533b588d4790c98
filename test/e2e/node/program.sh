#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Stops or starts a program of a node that up.sh brought up:
# program.sh DIRECTORY PROGRAM stop|start, such as kube-apiserver.
set -euo pipefail
dir=$1 program=$2
inside() { nsenter --target "$(cat "$dir/init.pid")" --all "$@"; }
case $3 in
stop) inside kill -KILL "$(cat "$dir/$program.pid")" ;;
start) inside setsid bash -c "echo \$\$ >'$dir/$program.pid'; exec '$dir/$program.sh'" >>"$dir/log/$program.log" 2>&1 & ;;
*)
	echo "want stop or start" >&2
	exit 2
	;;
esac
