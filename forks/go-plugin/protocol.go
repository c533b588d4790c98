// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"io"
	"net"
)

// CoreProtocolVersion is the first field of the line that a child prints, and
// the "core" field of the handshake on the wire. It names the protocol that
// this package describes, not the version of any plugin.
const CoreProtocolVersion = 1

// Protocol names what is spoken on a session once the handshake is done.
type Protocol string

// The protocols, spelled as the handshake spells them.
const (
	ProtocolInvalid Protocol = ""
	ProtocolNetRPC  Protocol = "netrpc"
	ProtocolGRPC    Protocol = "grpc"
)

// ServerProtocol serves one protocol on a listener. [RPCServer] and
// [GRPCServer] implement it.
type ServerProtocol interface {
	// Init validates and prepares everything that can fail. It is called once,
	// before Serve.
	Init() error

	// Config returns protocol-specific configuration for the other side, or "".
	Config() string

	// Serve serves connections until the listener is closed.
	Serve(net.Listener)
}

// ClientProtocol is the host's side of one session.
type ClientProtocol interface {
	// Close ends the session. On a child it also asks the process to end; a
	// remote plugin lives on.
	io.Closer

	// Dispense returns a stub for the kind of that name. The stub ends with the
	// session.
	Dispense(string) (interface{}, error)

	// Ping asks the other side for an answer.
	Ping() error
}
