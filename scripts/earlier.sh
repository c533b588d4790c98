#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Prints the commit that upgrades are tested from: the last release before this commit,
# and until there is one the last commit whose peers know nothing of the feature mux.
# Exits with 77 where this checkout does not have it, and says what gets it. With --fetch
# it gets it itself, and the tags, and fails if it cannot get it; 77 is then only for what is
# no checkout. Where git refuses to read the checkout it says why.
set -euo pipefail
cd "$(dirname "$0")/.."
first=ab578a4499e4169a3a9f0c7514db2948612543ab
if [ ! -e .git ]; then
	echo "no earlier commit: this is no checkout of git" >&2
	exit 77
fi
missing=77
[ "${1:-}" != --fetch ] || missing=1
git rev-parse --show-toplevel >/dev/null || exit "$missing"
known() { git describe --tags --abbrev=0 --match='v[0-9]*' HEAD^ >/dev/null 2>&1 || git cat-file -e "$first^{commit}" 2>/dev/null; }
# fetch gets the tags in any case: that of the last release may be newer than what is here.
fetch() {
	if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
		git fetch --quiet --tags --unshallow
	elif known; then
		git fetch --quiet --tags
	else
		git fetch --quiet --tags origin "$first"
	fi
}
if [ "$missing" = 1 ]; then
	fetch || known || exit 1
fi
if git describe --tags --abbrev=0 --match='v[0-9]*' HEAD^ 2>/dev/null; then exit; fi
if ! git cat-file -e "$first^{commit}" 2>/dev/null; then
	echo "no earlier commit: this checkout has no release's tag and not commit ${first:0:7} (it may be shallow): git fetch --unshallow --tags gets them" >&2
	exit "$missing"
fi
echo "$first"
