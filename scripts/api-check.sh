#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Compares the exported API of forks/go-plugin with that of the original library.
# Anything incompatible fails; additions are listed.
set -euo pipefail
cd "$(dirname "$0")/.."
module=github.com/hashicorp/go-plugin
version=v1.8.0
packages=("$module" "$module/runner")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p build/tools
go -C tools build -o "$PWD/build/tools/" golang.org/x/exp/cmd/apidiff
apidiff=$PWD/build/tools/apidiff
download=$(cd "$work" && go mod download -json "$module@$version") || true # it tells errors as JSON
original=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$download")
if [ -z "$original" ]; then
	echo "api-check: $module@$version could not be fetched: $download" >&2
	exit 1
fi

failed=0
for package in "${packages[@]}"; do
	export_file=$work/$(basename "$package").export
	(cd "$original" && "$apidiff" -w "$export_file" "$package")
	incompatible=$(cd forks/go-plugin && "$apidiff" -incompatible "$export_file" "$package")
	all=$(cd forks/go-plugin && "$apidiff" "$export_file" "$package")
	echo "== $package, against $version: $(grep -c '^- ' <<<"$incompatible" || true) incompatible"
	if [ -n "$incompatible" ]; then
		echo "$incompatible"
		failed=1
	fi
	sed -n '/^Compatible changes:/,$p' <<<"$all"
done
exit "$failed"
