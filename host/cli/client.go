// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/reattach/reattach/host/daemon"
)

// client answers what the client commands ask: of a running daemon, or of one that
// was started for the question.
type client interface {
	// Plugins gives how every plugin fares.
	Plugins(ctx context.Context) ([]daemon.Plugin, error)
	// Watch calls show with all plugins now and after each change until ctx ends,
	// which is no error.
	Watch(ctx context.Context, show func([]daemon.Plugin) error) error
	// Call calls a method; its errors are failures with an exit code.
	Call(ctx context.Context, plugin, kind, method string, args json.RawMessage) (json.RawMessage, error)
	// Close leaves.
	Close() error
}

// open gives the client that the configuration asks for. The caller closes it.
func (h Host) open(ctx context.Context, c Config, stderr io.Writer) (client, error) {
	if c.Server == "" {
		c.Server = c.daemonHere(ctx)
	}
	if c.Server != "" {
		return newRemote(c)
	}
	if _, asked := os.LookupEnv("LOG_LEVEL"); !asked {
		c.LogLevel = "off" // the answer says what went wrong
	}
	return h.newLocal(ctx, c, stderr)
}
