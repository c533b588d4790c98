#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Generates the messages of the contract for Python.
set -euo pipefail
cd "$(dirname "$0")"
protoc --python_out=. --proto_path=../../commons/commonspb commons.proto
