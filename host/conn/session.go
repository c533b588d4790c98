// SPDX-License-Identifier: MPL-2.0

// Package conn keeps one endpoint attached: it dials, probes, backs off and
// drains, and is the only writer of that endpoint's state.
package conn

import (
	"context"

	"github.com/reattach/reattach/host/target"
)

// Dialer makes sessions with the endpoints of one placement.
type Dialer interface {
	// Dial attaches to e: it starts a child, connects to a network plugin, opens
	// a shared object. It gives up when ctx ends; ctx does not bound the session
	// that it returns. It is called from the Conn's own goroutine, one call at a
	// time for an endpoint and from many goroutines for different ones.
	//
	// An error that trying again cannot mend matches [ErrPermanent].
	Dial(ctx context.Context, e target.Endpoint) (Session, error)
}

// DialerFunc is a function that is a Dialer.
type DialerFunc func(ctx context.Context, e target.Endpoint) (Session, error)

// Dial calls f.
func (f DialerFunc) Dial(ctx context.Context, e target.Endpoint) (Session, error) { return f(ctx, e) }

// Session is one live attachment to one instance of a plugin. It ends once and
// never comes back. Its methods may be called from any goroutine.
//
// How calls travel is not this package's business: a session also implements
// stub.RPCSession or stub.GRPCSession.
type Session interface {
	// Info says what both sides agreed on. It does not change.
	Info() Info
	// Ping asks the plugin for an answer until ctx ends.
	Ping(ctx context.Context) error
	// Draining is closed when the plugin has said that it is about to leave.
	Draining() <-chan struct{}
	// Done is closed when the session has ended.
	Done() <-chan struct{}
	// Err says why it ended; nil while it lives.
	Err() error
	// Close ends the session and waits until nothing of it is left. It stops
	// what this host started and detaches from everything else.
	Close() error
}

// Info describes a session.
type Info struct {
	// Protocol is "netrpc" or "grpc", in every placement.
	Protocol string
	// Version is the app version that both sides agreed on.
	Version int
	// Name and Instance are the plugin's own: Instance is new with each run of
	// it. Empty for a plugin that does not say.
	Name, Instance string
	// Kinds are the interfaces it serves, nil for a plugin that does not say.
	Kinds []Kind
	// Build is what it was built from, for people: "v1.2.3 go1.26 1a2b3c".
	Build string
	// TLS is the name of the certificate that the plugin showed, or empty.
	TLS string
}

// Kind is one interface that a plugin says it serves.
type Kind struct {
	Name string
	// Methods are nil where the plugin cannot tell them.
	Methods []Method
}

// Method is one method of a Kind, with its argument and result as the plugin
// spells them, for people; they may be empty.
type Method struct {
	Name, Args, Reply string
}
