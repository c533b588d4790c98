// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// as gives what a session is made of as something that can do more.
func as[T any](s Session) (T, error) {
	if one, ok := s.(*session); ok {
		if more, ok := one.Greeter.(T); ok {
			return more, nil
		}
	}
	var none T
	return none, fmt.Errorf("what %T calls is not a %v", s, reflect.TypeFor[T]())
}

// inStream is how many messages a stream has.
const inStream = 2000

// stream says how long a message takes in a stream, in either direction.
func (o *opened) stream(l wire.Load) (s wire.Streams, err error) {
	streamer, err := as[greet.Streamer](o.session)
	if err != nil {
		return s, err
	}
	each := func(all func(n, size int) error) float64 {
		err = errors.Join(err, all(inStream, l.Payload)) // to warm up
		start, n := time.Now(), 0
		for err == nil && time.Since(start) < l.For {
			err = all(inStream, l.Payload)
			n += inStream
		}
		return float64(time.Since(start)) / float64(max(n, 1))
	}
	s.Feed, s.Pour = each(streamer.Feed), each(streamer.Pour)
	return s, err
}

const (
	// heldFor is how long a call takes that is given up, and patience how long its
	// caller waits.
	heldFor  = time.Second
	patience = time.Millisecond
	// impatient is how many callers there are.
	impatient = 64
	// calm is how long after the last call the plugin should know.
	calm = 100 * time.Millisecond
)

// cancel gives n calls up, and says what is left of them.
func (o *opened) cancel(n int, rest time.Duration) (c wire.Cancelled, err error) {
	worker, err := as[greet.Worker](o.session)
	if err != nil {
		return c, err
	}
	before := o.servers.Usage(true).bytes() + usage(true).bytes()
	if c.Late, err = giveUp(worker, n); err != nil {
		return c, err
	}
	time.Sleep(calm)
	if c.Busy, err = worker.Held(); err != nil {
		return c, err
	}
	e, err := Took(o.servers, func() error {
		time.Sleep(rest)
		return nil
	})
	c.HostCPU, c.PluginCPU = float64(e.HostCPU)/float64(e.Wall), float64(e.PluginCPU)/float64(e.Wall)
	c.Memory = float64(o.servers.Usage(true).bytes()+usage(true).bytes()) - float64(before)
	return c, err
}

// giveUp has several callers give up n calls, and says how late they could.
func giveUp(w greet.Worker, n int) (late time.Duration, err error) {
	var left atomic.Int64
	left.Store(int64(n))
	var t times
	var callers sync.WaitGroup
	for range impatient {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				t.take(func() error {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					if w.Hold(ctx, heldFor) == nil {
						return fmt.Errorf("a call of %v was answered within %v", heldFor, patience)
					}
					return nil
				})
			}
		})
	}
	callers.Wait()
	return t.at(99) - patience, t.err
}

// AtRest measures what the n things that do makes cost for a while during which nobody
// uses them, and what each of them holds after that.
func AtRest(servers *Servers, n int, while time.Duration, do func() error) (rest wire.Rest, err error) {
	rest.Cost, err = Cost(servers, n, func() error {
		if err := do(); err != nil {
			return err
		}
		time.Sleep(while / 2) // until each has been asked for the first time whether it lives
		e, err := Took(servers, func() error {
			time.Sleep(while)
			return nil
		})
		rest.HostCPU, rest.PluginCPU = float64(e.HostCPU)/float64(e.Wall), float64(e.PluginCPU)/float64(e.Wall)
		return err
	})
	return rest, err
}
