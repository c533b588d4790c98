#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Runs hosts and plugins that nobody rebuilds behind the shims, and the pages of the five
# doors, and ends with a table of what was promised and counted.
#
# The Terraform CLI is that of the path, or is built into build/ (2 minutes), unless
# TERRAFORM=skip. TESTFLAGS are those of go test.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra flags <<<"${TESTFLAGS--race}"

if [ "${TERRAFORM:-}" = skip ]; then
	echo "adoption: TERRAFORM=skip: its rows are skipped where no terraform is there" >&2
elif ! command -v terraform >/dev/null && [ ! -x build/terraform/terraform ]; then
	echo "adoption: no terraform on the path: it is built; TERRAFORM=skip leaves it out" >&2
	make terraform || echo "adoption: terraform could not be built: its rows are skipped" >&2
fi
if ! { python3 -c 'import grpc.aio, google.protobuf' || /usr/bin/python3 -c 'import grpc.aio, google.protobuf'; } 2>/dev/null; then
	echo "adoption: no Python with grpcio and protobuf: the plugin in Python is skipped, unless: apt-get install python3-grpcio python3-protobuf" >&2
fi

# tests MODULE REGEXP [ARGUMENT...]: a failure is told by the table. The programs are built
# within the time: where nothing is built yet and the machine has more to do, that alone has
# taken twenty minutes.
tests() {
	local module=$1 which=$2
	shift 2
	go test -C "$module" "${flags[@]}" -count=1 -json -timeout 60m -run "$which" . "$@" || true
}
{
	tests test/adoption . -args -all
	tests test/consumers 'TestShims|TestTerraform' -args -all
	tests test/docs 'TestCommands/docs/adoption'
} | go run -C tools ./adoption
