// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"

	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/hello"
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

	// ErrConnectionLost is matched by every error of a call that was in flight,
	// or could not be sent, because the session to the plugin had ended. The
	// plugin may or may not have run the call. An error that the plugin itself
	// returned never matches.
	ErrConnectionLost = errors.New("connection to plugin lost")

	// ErrDetached is why a session ended that this side closed.
	ErrDetached = errors.New("detached from plugin")
)

// RefusedError is what a network plugin answers to a host that it will not
// serve. Its Code is one of the words that PROTOCOL.md lists ("version",
// "cookie", "protocol", "busy", "draining", …).
type RefusedError = hello.Refusal

// PeerInfo is what a network plugin says of itself in the handshake.
type PeerInfo = hello.Answer

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

func (e *BasicError) Error() string { return e.Message }
