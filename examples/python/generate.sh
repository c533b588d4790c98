#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Generates the messages of the contract for Python, which protoc does by itself.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v protoc >/dev/null; then
	echo "there is no protoc here: commons_pb2.py stays as it is"
	exit
fi
protoc --python_out=. --proto_path=../../commons/commonspb commons.proto
