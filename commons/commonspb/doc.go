// SPDX-License-Identifier: MPL-2.0

// Package commonspb is the generated code of commons.proto: version 2 of the contract.
package commonspb

//go:generate sh generate.sh
