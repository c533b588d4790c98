// SPDX-License-Identifier: MPL-2.0

// Package greetttrpc is the generated code of greet.proto: the contract for ttrpc.
// `make generate` writes it anew.
package greetttrpc
