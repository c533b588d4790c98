#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Regenerates the Go code of this directory's proto files.
# protoc and the generators are those of /tools.
set -eu
cd "$(dirname "$0")"
tools=../../../../tools
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go -C "$tools" build -o "$bin/" ./protoc \
	google.golang.org/protobuf/cmd/protoc-gen-go \
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
PATH="$bin:$PATH" protoc -I . \
	--go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative \
	./*.proto
