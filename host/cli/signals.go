// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilTold gives a context that ends when the process is told to end: by SIGINT,
// SIGTERM, or SIGHUP unless the process was started to ignore it (nohup). A second
// signal ends the process at once. SIGQUIT does so always, with Go's stack traces.
func untilTold(parent context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(parent, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// writeErrors makes writing to a standard stream that nobody reads any more an
// error, where Go would end the process. Nobody reads the channel: signal.Ignore
// would do the same, but what the host starts would inherit it.
func writeErrors() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
