// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Errors that callers branch on.
var (
	// ErrProcessNotFound says that the process to reattach to does not run or
	// does not answer at its address.
	ErrProcessNotFound = cmdrunner.ErrProcessNotFound

	// ErrChecksumsDoNotMatch says that the executable is not the one that
	// SecureConfig expects.
	ErrChecksumsDoNotMatch = errors.New("checksums did not match")

	// ErrSecureConfigNoChecksum says that SecureConfig.Checksum is empty.
	ErrSecureConfigNoChecksum = errors.New("no checksum provided")

	// ErrSecureConfigNoHash says that SecureConfig.Hash is nil.
	ErrSecureConfigNoHash = errors.New("no hash implementation provided")

	// ErrSecureConfigAndReattach says that a checksum was given for a plugin
	// that the host does not start.
	ErrSecureConfigAndReattach = errors.New("only one of Reattach or SecureConfig can be set")

	// ErrGRPCBrokerMuxNotSupported says that the host asked for brokered
	// connections over the one connection, and the plugin cannot.
	ErrGRPCBrokerMuxNotSupported = errors.New("client requested gRPC broker multiplexing but plugin does not support the feature")

	// ErrIncompatible is matched by errors of starting or attaching that last
	// until one of the two programs is replaced: there is no common version or
	// protocol, or what was started is no plugin. A refusal from the network is
	// a [*RefusedError] instead.
	ErrIncompatible = peererr.ErrIncompatible

	// ErrSaidNothing is matched by the error of starting a child that closed
	// its stdout without having said where it serves. Most likely it has ended;
	// Client.Err then says how.
	ErrSaidNothing = child.ErrSaidNothing

	// ErrConnectionLost is matched by every error of a call that was in flight,
	// or could not be sent, because the session to the plugin had ended. The
	// plugin may or may not have run the call. A gRPC call matches as well which the
	// plugin has refused, without having run it, because it leaves or runs too many;
	// the session may live on then. An error that the plugin itself returned never
	// matches.
	//
	// Two are out of this library's reach: a net/rpc client whose connection is
	// known to be lost refuses further calls with rpc.ErrShutdown of net/rpc. And of
	// a reply that was cut off in the middle, in a session without the feature mux,
	// it keeps no more than the text.
	ErrConnectionLost = peererr.ErrConnectionLost

	// ErrNotPlugin is matched by the error of [Attach] for a server that is no
	// plugin, such as a web server.
	ErrNotPlugin = hello.ErrNotPlugin

	// ErrTLS is matched by the errors of [Attach] that are about TLS: one side does
	// not speak it, or does not accept the other's certificate.
	ErrTLS = hello.ErrTLS

	// ErrDetached is why a session ended that this side closed.
	ErrDetached = errors.New("detached from plugin")
)

// RefusedError is what a network plugin answers to a host that it will not
// serve. Its Code is one of the words that PROTOCOL.md lists ("version",
// "cookie", "protocol", "busy", "draining", …).
type RefusedError = hello.Refusal

// The codes of a [RefusedError]. A host that does not know a code treats it as
// lasting, see [RefusedError.Temporary].
const (
	RefusedMalformed = hello.CodeMalformed // the handshake broke the grammar
	RefusedTooLarge  = hello.CodeTooLarge  // the handshake exceeded a bound
	RefusedCore      = hello.CodeCore      // another version of the handshake
	RefusedCookie    = hello.CodeCookie    // another magic cookie
	RefusedVersion   = hello.CodeVersion   // no common app version
	RefusedProtocol  = hello.CodeProtocol  // no common protocol
	RefusedBusy      = hello.CodeBusy      // as many sessions as allowed; may pass
	RefusedDraining  = hello.CodeDraining  // the plugin is about to end; may pass
)

// PeerInfo is what a network plugin says of itself in the handshake: Version
// and Protocol of the session, its Features; Name and Instance (new in every
// process); the Kinds that it serves, shortened if Partial is set; and its
// Build, nil if it does not know.
type PeerInfo = hello.Answer

// PeerKind is one interface that a network plugin serves: its Name, and its
// Methods as far as the plugin can tell.
type PeerKind = hello.Kind

// PeerMethod is one method of a [PeerKind]: its Name, and the names of its Args
// and Reply types, which are for people.
type PeerMethod = hello.Method

// PeerBuild is what a network plugin was built from: Go, Module, Version,
// Revision, Modified, and Fork, the version of this library.
type PeerBuild = hello.Build

// BasicError carries an error through encoding/gob, which cannot encode the
// error interface.
type BasicError struct {
	Message string
}

// NewBasicError returns err as a BasicError, or nil for a nil error.
func NewBasicError(err error) *BasicError {
	if err == nil {
		return nil
	}
	return &BasicError{Message: err.Error()}
}

// Error implements error with the text of the error that it was made from.
func (e *BasicError) Error() string { return e.Message }
