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

// askAgain is the pause between two attempts to reach a daemon that has gone.
const askAgain = time.Second

// patient is a client that goes on with a daemon which has gone, as soon as it is there again:
// it restarts, or the way to it was lost. One that was never there is an error at once.
type patient struct {
	client
	to    io.Writer // is told when the daemon has gone
	name  string    // of the program
	pause func(context.Context) error
}

func (o Options) patient(of client, to io.Writer) *patient {
	return &patient{of, to, o.Name, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askAgain):
			return nil
		}
	}}
}

// Events implements client.
func (p *patient) Events(ctx context.Context, list func(found) error, show func(daemon.Event) error) error {
	return p.follow(ctx, func(reached func()) error {
		return p.client.Events(ctx, func(now found) error {
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

// follow calls one until it ends with something else than a daemon that cannot be reached any
// more. It says once for each time that it was there.
func (p *patient) follow(ctx context.Context, one func(reached func()) error) error {
	there, ever := false, false
	for {
		err := one(func() { there, ever = true, true })
		if failed, ok := errors.AsType[*failure](err); !ok || failed.code != exitUnreachable || !ever {
			return err
		}
		if there {
			if _, failed := fmt.Fprintf(p.to, "%s: %v; it is asked again until it answers\n", p.name, err); failed != nil {
				return errors.Join(err, failed)
			}
		}
		there = false
		if p.pause(ctx) != nil {
			return nil // as of a client whose context ends
		}
	}
}
