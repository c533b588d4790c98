// SPDX-License-Identifier: MPL-2.0

// Package commons holds the contracts that hosts and plugins share: the interfaces
// [Greeter] and [PingPonger], the glue that carries them over net/rpc and gRPC, and
// the handshake both sides agree on.
//
// There are two versions of the contract. Version 1 travels over net/rpc, with
// arguments as map[string]interface{}; plugins and hosts built years ago speak it.
// Version 2 travels over gRPC (package commonspb). Both carry the same interfaces,
// so one binary serves either, and the peers settle on the highest they share.
//
// The glue is written by hand, although gen writes such glue for other interfaces: the wire
// of version 1 is older than that, and has to stay byte for byte; docs/generator.md says what
// else is by hand. Package commonspb is generated.
//
// The package imports go-plugin and never the host.
package commons
