// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/host/conn"
)

// instance is one Conn and what the fleet needs to stop it.
type instance struct {
	entry *entry
	conn  *conn.Conn
	seen  *conn.Status                // the newest that was told
	shown atomic.Pointer[conn.Status] // what readers of a View see: seen, as of the newest generation
	leave context.CancelFunc
	late  *time.Timer // of a replacement; nil for others
	told  bool        // that this replacement is not ready
	left  time.Time   // when it was told to leave; zero before
}

// stop lets the instance leave: its calls may finish.
func (i *instance) stop() {
	i.left = time.Now()
	if i.late != nil {
		i.late.Stop()
	}
	i.leave()
}

// start runs a Conn for what discovery says of e now.
func (f *Fleet) start(e *entry) *instance {
	i := &instance{entry: e}
	opts := f.opts.Conn
	opts.Sessions = e.pool.past.of(e.endpoint, time.Now())
	observe := opts.Observe
	opts.Observe = func(c *conn.Conn, before, after *conn.Status) {
		if observe != nil {
			observe(c, before, after)
		}
		f.inbox.put(notice{instance: i, before: before, after: after})
	}
	c, err := conn.New(e.endpoint, opts)
	if err != nil {
		panic(fmt.Sprintf("fleet: options and endpoint were validated, but %v", err))
	}
	ctx, leave := context.WithCancel(context.Background())
	i.conn, i.seen, i.leave = c, c.Status(), leave
	i.shown.Store(i.seen)
	f.instances[i] = struct{}{}
	f.conns.Go(func() {
		defer leave()
		c.Run(ctx)
		f.inbox.put(notice{instance: i, ended: true})
	})
	return i
}
