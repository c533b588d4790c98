// SPDX-License-Identifier: MPL-2.0

// Package greetpb is the generated code of greet.proto: the contract for gRPC.
// `make generate` writes it anew.
package greetpb
