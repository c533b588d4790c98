#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Writes the Go code of the three protos anew: one contract, for each way to carry it.
# protoc and the generators are those of tools/, and those that go.mod has.
set -eu
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go -C ../../tools build -o "$bin/" ./protoc \
	google.golang.org/protobuf/cmd/protoc-gen-go \
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
# The generators of the libraries that go.mod has, each with dependencies of its own.
for tool in github.com/containerd/ttrpc:protoc-gen-go-ttrpc github.com/knqyf263/go-plugin:protoc-gen-go-plugin; do
	version=$(sed -n "s#^\t${tool%:*} \(v[^ ]*\).*#\1#p" go.mod)
	GOBIN=$bin go install "${tool%:*}/cmd/${tool#*:}@$version"
done
export PATH="$bin:$PATH"
protoc --go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative \
	internal/greet/greetpb/greet.proto
protoc --go_out=. --go_opt=paths=source_relative \
	--go-ttrpc_out=. --go-ttrpc_opt=paths=source_relative \
	peers/ttrpc/greetttrpc/greet.proto
protoc --go-plugin_out=. --go-plugin_opt=paths=source_relative \
	peers/wasm/greetwasm/greet.proto
# What tells the generator of the plugin is no directive to Go.
sed -i '\#^// go:plugin #d' peers/wasm/greetwasm/greet.pb.go
# This generator leaves the licence out.
sed -i '1i // SPDX-License-Identifier: MPL-2.0\n' peers/ttrpc/greetttrpc/greet_ttrpc.pb.go
