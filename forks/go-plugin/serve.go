// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// Serve serves the plugins, and returns when the host has asked the process to
// end. A plugin calls it in main and does nothing afterwards.
//
// With PLUGIN_HOST set it serves hosts on the network until SIGTERM or SIGINT,
// finishes the calls in flight and returns. What cannot work (no cookie, a
// socket that cannot be bound, half a TLS configuration) is written to stderr,
// and the process exits with 1.
//
// PLUGIN_LOG_LEVEL sets the level of opts.Logger, and so that of all loggers that were
// made from it, unless they have levels of their own.
func Serve(opts *ServeConfig) {
	if opts.Test != nil {
		serveTest(opts)
		return
	}
	if note := cookieNote(opts.HandshakeConfig); note != "" {
		fmt.Fprint(os.Stderr, note)
		os.Exit(1)
	}
	logger := opts.logger()
	if err := setLevel(logger); err != nil {
		logger.Error("plugin ends", "error", err)
		os.Exit(1)
	}
	serve, flush := serveChild, func(context.Context) {}
	if os.Getenv(env.Host) != "" {
		serve = serveNetwork
		var queue *logging.Queue
		logger, queue = logging.NewQueued(logger)
		flush = queue.Flush
	}
	err := serve(opts, logger)
	if err != nil {
		logger.Error("plugin ends", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	flush(ctx)
	if err != nil {
		os.Exit(1)
	}
}

// cookieNote is what a person should read who starts a plugin by hand, and
// empty for a plugin that was started by a host.
func cookieNote(h HandshakeConfig) string {
	switch {
	case h.MagicCookieKey == "" || h.MagicCookieValue == "":
		return "This plugin was built without a magic cookie (MagicCookieKey and MagicCookieValue of its ServeConfig),\n" +
			"so no host can recognize it. Please report this to its author.\n"
	case os.Getenv(h.MagicCookieKey) != h.MagicCookieValue:
		return "This binary is a plugin. It is meant to be started by the program that uses it, not by hand.\n" +
			"Start that program: it finds its plugins and runs them.\n" +
			"To run the plugin as a network service of its own, set " + h.MagicCookieKey + " to the value that its host\n" +
			"expects, and " + env.Host + "=true.\n"
	}
	return ""
}
