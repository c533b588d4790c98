// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
)

// ServeConfig says what a plugin serves.
type ServeConfig struct {
	// HandshakeConfig must equal the host's.
	HandshakeConfig

	// TLSProvider returns the TLS configuration to serve with. It wins over
	// AutoMTLS, and in network mode over TLS from files.
	TLSProvider func() (*tls.Config, error)

	// Plugins are the kinds of app version ProtocolVersion.
	Plugins PluginSet

	// VersionedPlugins are the kinds of further app versions. All kinds of one
	// version are served over the same protocol: gRPC if GRPCServer is set and
	// each of them implements [GRPCPlugin], net/rpc otherwise. In network mode
	// a version whose kinds can do both is served over whichever the host
	// prefers.
	VersionedPlugins map[int]PluginSet

	// GRPCServer makes the gRPC server; nil means net/rpc only. The options it
	// is given must be passed on: TLS and the library's own bookkeeping are
	// among them. [DefaultGRPCServer] does just that.
	GRPCServer func([]grpc.ServerOption) *grpc.Server

	// Logger is used by the library. Nil logs JSON to stderr, which a host
	// reads as log entries. PLUGIN_LOG_LEVEL sets its level. [NewSlogLogger]
	// makes one of a slog.Handler.
	Logger hclog.Logger

	// Test, if not nil, serves inside a test instead of taking the process
	// over.
	Test *ServeTestConfig

	// Stop, if not nil, ends a child when it is closed: its listener goes, with its socket, and
	// Serve returns. Calls that are under way then are cut off, so it is for a process that
	// ends next. The caller closes it.
	Stop <-chan struct{}

	// Started, if not nil, is called in a child once its host knows where it serves. From
	// then on what is written to stdout and stderr goes to the host as the plugin's output,
	// as what is written to os.Stdout and os.Stderr does.
	Started func(stdout, stderr io.Writer)

	// Around, if not nil, runs each call of the plugin's kinds, and of what it serves on a
	// broker: for tracing, say.
	Around Around

	// Network configures network mode. Nil reads it from the environment.
	Network *NetworkConfig
}

// ServeTestConfig makes Serve return to the test that called it: no cookie is
// needed, nothing is printed, signals are left alone, and the standard streams
// stay the test's own unless SyncStdio is set.
type ServeTestConfig struct {
	// Context ends serving.
	Context context.Context

	// ReattachConfigCh receives what a client needs to reattach.
	ReattachConfigCh chan<- *ReattachConfig

	// CloseCh is closed when serving has ended.
	CloseCh chan<- struct{}

	// SyncStdio sends what the test writes to os.Stdout and os.Stderr to the
	// client as well.
	SyncStdio bool
}

// logger is Logger, or one that writes JSON to stderr, as a host expects it of a child.
func (opts *ServeConfig) logger() hclog.Logger {
	if opts.Logger != nil {
		return opts.Logger
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
}
