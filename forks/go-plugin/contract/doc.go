// SPDX-License-Identifier: MPL-2.0

// Package contract is what the glue has in common that "reattach gen" writes for a Go
// interface: how calls, errors and values of the interface travel over net/rpc and gRPC.
// Programs use the generated packages; nothing in here is meant to be called by hand.
//
// A call's arguments are one message of protocol buffers, and so is its answer, over
// either protocol: values, and the rules by which a contract may change, are the same.
// Over net/rpc the messages say themselves how gob writes them. An error that the
// implementation returned is a status with code Unknown, whose details name the contract's
// own errors among those that it wraps; see [Errors].
package contract
