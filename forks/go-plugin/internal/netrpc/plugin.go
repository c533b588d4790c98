// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// PluginConfig is what the plugin's side of a session needs.
type PluginConfig struct {
	Serving
	// Kinds is called once, with the session's broker. It returns what makes the value
	// that serves a kind.
	Kinds func(*Broker) func(kind string) (impl any, err error)
	// Remote, if not nil, is a session with the plugin that has the kinds: this process
	// only passes questions on, and Kinds is nil. It needs a session over yamux.
	Remote *Host
	// Quit is called once the host's wish for the end (Control.Quit) was answered.
	Quit func()
	// Yamux returns the configuration of a yamux session; nil is YamuxConfig(nil).
	Yamux func() *yamux.Config

	// For a session over yamux: what is copied to the host; when the plugin is about to
	// leave (nil: it never says so); and how long the host may take to open its
	// streams (zero: for ever).
	Stdout, Stderr io.Reader
	Draining       <-chan struct{}
	OpenTimeout    time.Duration

	// For a session with the feature mux: the output, asked for once at most; the
	// bounds on what is sent, and on calls under way (zero: none); and the
	// configuration of the transport.
	Subscribe func() stdio.Stream
	MaxSend   int
	MaxCalls  int
	Watchdog  *mux.Watchdog
	Silence   time.Duration
}

// flush runs what sends something to the host. A host that does not read is waited for
// no longer than stdio.FlushTimeout.
func flush(send func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	send(ctx)
}
