#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Builds the images basic and pluginzh: with Docker or Buildah where one works, and
# else as OCI archives in a directory, for linux/amd64 and linux/arm64 or those that
# IMAGE_ARCH names. IMAGES_WITH chooses: docker, buildah or oci. IMAGE_TAG is the tag,
# and IMAGE_PREFIX what comes before the names, such as registry.example.org/.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where archives go}
tag=${IMAGE_TAG:-dev}
prefix=${IMAGE_PREFIX:-docker.io/library/}

with=${IMAGES_WITH:-}
if [ -z "$with" ]; then
	if docker info >/dev/null 2>&1; then
		with=docker
	elif command -v buildah >/dev/null; then
		with=buildah
	else
		with=oci
	fi
fi

case $with in
docker | buildah)
	"$with" build -f Dockerfile.host -t "${prefix}basic:$tag" .
	"$with" build -f Dockerfile.plugin --build-arg PLUGIN=pluginzh -t "${prefix}pluginzh:$tag" .
	exit
	;;
oci) ;;
*)
	echo "IMAGES_WITH=$with: want docker, buildah or oci" >&2
	exit 2
	;;
esac

mkdir -p "$out"
out=$(cd "$out" && pwd)
revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || true)

# archive NAME PACKAGE DOCKERFILE [ARGUMENT...]
archive() {
	local name=$1 package=$2 dockerfile=$3
	shift 3
	rm -rf "${out:?}/$name" # the archive takes all that is there
	for arch in ${IMAGE_ARCH:-amd64 arm64}; do
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false \
			-ldflags='-s -w' -o "$out/$name/$arch" "$package"
	done
	go run -C tools ./notice -C .. -o "$out/$name.NOTICE" "$package"
	go run -C tools ./images -notice "$out/$name.NOTICE" -dockerfile "$PWD/$dockerfile" -binaries "$out/$name" \
		-name "$prefix$name:$tag" -revision "$revision" -o "$out/$name.tar" "$@"
}
archive basic ./host Dockerfile.host
archive pluginzh ./pluginzh Dockerfile.plugin -build-arg PLUGIN=pluginzh
