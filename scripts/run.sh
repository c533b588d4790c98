#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Shows the main job: a network plugin serves one host after the other, and only
# the one who runs it ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true; rm -rf "$logs"' EXIT

say() { printf '\n# %s\n' "$*"; }

say "starting greeter-zh as a network plugin on the first free port from 7000"
: >"$logs/out" # the loop below reads it, maybe before the plugin has begun
BASIC_PLUGIN=hello PLUGIN_HOST=true PLUGIN_MIN_PORT=7000 PLUGIN_MAX_PORT=7099 \
	./bin/greeter-zh.po >>"$logs/out" 2>"$logs/err" &
pid=$!
# A plugin says where it listens on its first line of stdout.
until grep -q '|tcp|' "$logs/out"; do
	if ! kill -0 "$pid" 2>/dev/null; then
		cat "$logs/err" >&2
		echo "run: the network plugin ended before it listened" >&2
		exit 1
	fi
	sleep 0.02
done
line=$(head -n 1 "$logs/out")
echo "pid $pid listens: $line"
address=127.0.0.1:$(cut -d '|' -f 4 <<<"$line" | grep -oE '[0-9]+$')

say "basic, with the children in bin/ and NETWORK_PLUGIN=$address"
NETWORK_PLUGIN=$address ./bin/basic

say "the host has exited: is the network plugin still there?"
kill -0 "$pid"
PLUGIN_DIR='' NETWORK_PLUGIN=$address ./bin/basic
echo "pid $pid is alive and answered again"

say "stopping the network plugin with SIGTERM"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
echo "pid $pid exited with $code"
pid=
exit "$code"
