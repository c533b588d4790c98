// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reattach/reattach/host/daemon"
)

// The pause between two attempts to reach a daemon that has gone. It doubles with each.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// awayError is of a daemon, or of a way to it, that may be there again. What else a daemon
// answers will not change by asking once more.
type awayError struct{ error }

// Unwrap gives what has gone wrong.
func (e *awayError) Unwrap() error { return e.error }

func away(format string, args ...any) error {
	return &awayError{failf(exitUnreachable, format, args...)}
}

// patient is a client that goes on with a daemon which has gone, as soon as it is there again:
// it restarts, or the way to it was lost. One that was never there is an error at once.
type patient struct {
	client
	to    io.Writer // is told when the daemon has gone
	name  string    // of the program
	pause func(ctx context.Context, long time.Duration) error
}

func (o Options) patient(of client, to io.Writer) *patient {
	return &patient{of, to, o.Name, func(ctx context.Context, long time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(long):
			return nil
		}
	}}
}

// Events implements client.
func (p *patient) Events(ctx context.Context, list func(lookBack) error, show func(daemon.Event) error) error {
	return p.follow(ctx, func(reached func()) error {
		return p.client.Events(ctx, func(now lookBack) error {
			reached()
			return list(now)
		}, show)
	})
}

// Watch implements client.
func (p *patient) Watch(ctx context.Context, show func(found) error) error {
	return p.follow(ctx, func(reached func()) error {
		return p.client.Watch(ctx, func(now found) error {
			reached()
			return show(now)
		})
	})
}

// follow calls one until it ends with something else than a daemon that is away, which it has
// reached before. It says why it is away when that changes.
func (p *patient) follow(ctx context.Context, one func(reached func()) error) error {
	pause, ever, said := firstPause, false, ""
	for {
		err := one(func() { pause, ever, said = firstPause, true, "" })
		if _, isAway := errors.AsType[*awayError](err); !isAway || !ever {
			return err
		}
		if why := err.Error(); why != said {
			said = why
			if _, failed := fmt.Fprintf(p.to, "%s: %s; it is asked again until it answers\n", p.name, why); failed != nil {
				return errors.Join(err, failed)
			}
		}
		if p.pause(ctx, pause) != nil {
			return nil // as of a client whose context ends
		}
		pause = min(2*pause, lastPause)
	}
}
