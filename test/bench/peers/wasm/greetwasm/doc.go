// SPDX-License-Identifier: MPL-2.0

// Package greetwasm is the generated code of greet.proto: the contract for WebAssembly.
// `make generate` writes it anew.
package greetwasm
