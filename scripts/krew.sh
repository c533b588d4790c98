#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# krew.sh VERSION SHA256SUMS: prints the manifest of "kubectl reattach" for krew, with the
# checksums of a release's archives. It fails if one is not among them, or there are none.
set -euo pipefail
version=$1 sums=$2
awk -v version="$version" -v number="${version#v}" '
	FILENAME == ARGV[1] { sum[$2] = $1; next }
	{ gsub(/VERSION/, version); gsub(/NUMBER/, number) }
	$1 == "uri:" { n = split($2, path, "/"); archive = path[n] }
	/CHECKSUM/ {
		if (!(archive in sum)) { print "krew: there is no checksum of " archive > "/dev/stderr"; exit 1 }
		sub(/CHECKSUM/, sum[archive])
	}
	{ print }
' "$sums" "$(dirname "$0")/../deploy/krew/reattach.yaml"
