#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Stops or starts the API server of a node that up.sh brought up: apiserver.sh DIRECTORY stop|start.
set -euo pipefail
dir=$1
init=$(cat "$dir/init.pid")
case $2 in
stop) kill -KILL "$(pgrep -f 'kube-apiserver --etcd-servers' --ns "$init" --nslist pid)" ;;
start) setsid nsenter --target "$init" --all "$dir/apiserver.sh" >>"$dir/log/kube-apiserver.log" 2>&1 & ;;
*)
	echo "want stop or start" >&2
	exit 2
	;;
esac
