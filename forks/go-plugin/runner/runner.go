// SPDX-License-Identifier: MPL-2.0

// Package runner is what a host needs from whatever runs a plugin: a process
// on this machine, a container, anything that can be started, watched and
// stopped. It has the same types as the package of that name in
// hashicorp/go-plugin, so runners written for either work with both.
package runner

import (
	"context"
	"io"
)

// Runner starts one plugin and owns it from then on. The client that was
// configured with it calls Start once, reads Stdout for the handshake line and
// Stderr for logs, and calls Wait once from a goroutine of its own. Kill and
// Diagnose may be called at any time after Start, from any goroutine.
type Runner interface {
	// Start starts the plugin, and returns when the other methods can be
	// used. Cancelling ctx afterwards must not stop the plugin.
	Start(ctx context.Context) error

	// Diagnose explains, as well as it can be found out, why a plugin that was
	// started did not give a valid handshake. The text is appended to the
	// error that the user sees.
	Diagnose(ctx context.Context) string

	// Stdout is the plugin's standard output, on which the handshake line
	// comes. The client reads it to its end and closes it.
	Stdout() io.ReadCloser

	// Stderr is the plugin's standard error, which goes to the host's log. The
	// client reads it to its end and closes it.
	Stderr() io.ReadCloser

	// Name names the plugin for people, for example by its path. It need not
	// be unique.
	Name() string

	AttachedRunner
}

// AttachedRunner is a plugin that was running before this host came to it:
// it can be waited for and stopped, but has not to be started.
type AttachedRunner interface {
	// Wait blocks until the plugin has ended, for whatever reason.
	Wait(ctx context.Context) error

	// Kill ends the plugin and cleans up after it. It may be called again
	// after the plugin has ended.
	Kill(ctx context.Context) error

	// ID identifies the running plugin: a process ID, a container's ID.
	ID() string

	AddrTranslator
}

// AddrTranslator maps addresses between the host and the place where the
// plugin runs, which may see other paths and networks. Both methods are called
// by the host, from any goroutine.
type AddrTranslator interface {
	// PluginToHost maps an address that the plugin told, before the host
	// connects to it.
	PluginToHost(pluginNet, pluginAddr string) (hostNet string, hostAddr string, err error)

	// HostToPlugin maps an address of the host, before it is told to the plugin.
	HostToPlugin(hostNet, hostAddr string) (pluginNet string, pluginAddr string, err error)
}

// ReattachFunc finds a plugin that is already running. It is called when the
// client connects; its error is the client's.
type ReattachFunc func() (AttachedRunner, error)
