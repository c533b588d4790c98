#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Copies into the chart what it has of deploy/components/monitoring: a chart cannot read what
# lies beside it. test/chart holds that the two are equal.
set -euo pipefail
cd "$(dirname "$0")"
cp ../components/monitoring/{dashboard.json,prometheusrule.yaml} reattach/files/
