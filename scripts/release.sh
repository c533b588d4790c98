#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Makes a release of this commit in build/release: the commands for six systems, images,
# a bill of materials for each command, the licences of what they are made of, and checksums.
#
#	scripts/release.sh --snapshot VERSION  builds all of it, and tags nothing
#	scripts/release.sh --publish VERSION   the same, and then pushes the tags and drafts the release
#
# VERSION is the repository's, such as v0.1.0. gen and cmd/reattach have the same, and the
# fork of go-plugin has that of go-plugin with it: v1.8.0-reattach.0.1.0. Equal commits give
# equal files. The first time builds the tools of tools/release, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() {
	echo "release: $*" >&2
	exit 2
}
mode=${1:-} version=${2:-}
[[ $mode == --snapshot || $mode == --publish ]] || fail "want --snapshot VERSION or --publish VERSION"
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)\.[0-9]+)?$ ]] || fail "\"$version\" is no version: want one such as v0.1.0 or v0.1.0-rc.1"
fork=v1.8.0-reattach.${version#v}
tags=("$version" "gen/$version" "cmd/reattach/$version" "forks/go-plugin/$fork")

# names PATTERN FILE: whether it has the pattern's text, and no longer version than that.
names() { grep -qE "${1//./\\.}([^-.0-9a-z]|\$)" "$2"; }

# What people copy must be there after the release.
url=https://github.com/reattach/reattach.git
stale=()
for page in README.md docs/library.md forks/go-plugin/README.md; do
	names "forks/go-plugin $fork" "$page" || stale+=("$page does not name forks/go-plugin $fork")
done
names "^## ${version#v}" CHANGELOG.md || stale+=("CHANGELOG.md has no section ## ${version#v}")
[ -z "$(git status --porcelain)" ] || stale+=("there are changes that are not committed")
if [ "$mode" = --publish ]; then
	head=$(git rev-parse HEAD)
	[ "$(git ls-remote "$url" refs/heads/main | cut -f1)" = "$head" ] || stale+=("releases are made of main at $url, and HEAD is $head")
	for tag in "${tags[@]}"; do
		! git rev-parse -q --verify "refs/tags/$tag" >/dev/null || stale+=("the tag $tag is there already")
	done
	[ "${#stale[@]}" -eq 0 ] || fail "$(printf '%s; ' "${stale[@]}")"
fi
for what in "${stale[@]+"${stale[@]}"}"; do echo "before it is published: $what"; done

tools=$PWD/build/tools/release out=$PWD/build/release
mkdir -p "$tools"
go build -C tools/release -o "$tools/" github.com/goreleaser/goreleaser/v2 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
export PATH=$tools:$PATH

# All is made in a clone, whose tags are those of the release: what cannot be built is
# never tagged here, and a snapshot differs from a release in nothing but its publication.
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q --no-tags . "$clone"
git -C "$clone" remote set-url origin "$url"
for tag in "${tags[@]}"; do git -C "$clone" tag "$tag"; done
cd "$clone"
goreleaser check --quiet
mkdir -p build
go run -C tools ./notice -C ../cmd/reattach -os linux,darwin,windows -o ../build/NOTICE . github.com/reattach/reattach/host
IMAGES_WITH=oci IMAGE_TAG=$version scripts/images.sh build/release-images
goreleaser release --clean --skip=publish,announce
scripts/krew.sh "$version" build/release/SHA256SUMS >build/krew.yaml

# What a newcomer does with it: the command of the release writes a module, which takes
# all that it needs from the tags, and its tests pass.
(
	rehearsal=$clone/build/rehearsal
	mkdir "$rehearsal"
	tar -xzf "build/release/reattach_${version#v}_linux_$(go env GOARCH).tar.gz" -C "$rehearsal"
	printf '[url "file://%s"]\n\tinsteadOf = %s\n' "$clone" "${url%.git}" >"$rehearsal/gitconfig"
	GOPROXY=file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)
	export GOPROXY GIT_CONFIG_GLOBAL=$rehearsal/gitconfig GOMODCACHE=$rehearsal/modules GOFLAGS=-modcacherw
	export GONOPROXY=github.com/reattach/reattach GONOSUMDB=github.com/reattach/reattach
	cd "$rehearsal"
	./reattach new plugin newcomer
	cd newcomer
	go test ./...
)

if [ "$mode" = --publish ]; then
	# A tag that was seen stays, as the module proxy keeps it. What is made after it is
	# what was tried above, byte for byte; only to hand it over can fail, and can be repeated.
	git push --atomic "$url" "${tags[@]}"
	goreleaser release --clean
fi
rm -rf "$out"
mkdir -p "$out"
# Tools like to leave their own notes beside what they make.
(cd build/release && cp SHA256SUMS ./*.tar.gz ./*.zip ./*.cdx.json "$out/")
cp build/release-images/*.tar "$out/"
(cd "$out" && sha256sum --quiet -c SHA256SUMS)
cp build/krew.yaml "$out/"
printf '%s: %s files, which SHA256SUMS fits\n' "$out" "$(wc -l <"$out/SHA256SUMS")"
[ "$mode" = --publish ] || printf 'it would be tagged %s\n' "${tags[@]}"
