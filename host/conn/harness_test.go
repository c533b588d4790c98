// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var endpoint = target.Endpoint{ID: "zh@h:1", Plugin: "zh", Placement: target.Network, Address: "h:1"}

// rig is a Conn that runs in a bubble, and what it has told so far.
type rig struct {
	*conn.Conn
	t      *testing.T
	dialer *manualdial.Dialer
	leave  context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	story []string
}

// run starts a Conn with endpoint e. It is stopped when the test ends.
func run(t *testing.T, e target.Endpoint, opts conn.Options) *rig {
	t.Helper()
	r := &rig{t: t, ended: make(chan struct{})}
	if opts.Dialer == nil {
		r.dialer = manualdial.New()
		opts.Dialer = r.dialer
	} else {
		r.dialer = opts.Dialer.(*manualdial.Dialer)
	}
	opts.Observe = r.observe
	c, err := conn.New(e, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Conn = c
	ctx, leave := context.WithCancel(t.Context())
	r.leave = leave
	go func() {
		defer close(r.ended)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		leave()
		<-r.ended
		if n := r.dialer.Open(); n != 0 {
			t.Errorf("%d sessions are open after Run returned", n)
		}
		if s := c.Status(); s.State != conn.Shutdown || s.Link != nil {
			t.Errorf("state after Run is %s", s.State)
		}
	})
	synctest.Wait()
	return r
}

// observe keeps the states, and ejections, in order.
func (r *rig) observe(_ *conn.Conn, before, after *conn.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before.State != after.State {
		r.story = append(r.story, after.State.String())
	}
	if after.State == conn.Ready && before.Ejected != after.Ejected {
		r.story = append(r.story, fmt.Sprintf("ejected=%v", after.Ejected))
	}
}

// told gives the story since it was last told.
func (r *rig) told() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	story := r.story
	r.story = nil
	return story
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// want checks the state.
func (r *rig) want(reason string, state conn.State) *conn.Status {
	r.t.Helper()
	synctest.Wait()
	s := r.Status()
	if s.State != state {
		r.t.Fatalf("%s: state is %s (%v), want %s", reason, s.State, s.Err, state)
	}
	if (s.Link != nil) != (state == conn.Ready) {
		r.t.Fatalf("%s: state is %s, link is %v", reason, s.State, s.Link)
	}
	return s
}

func (r *rig) session() *manualdial.Session { return r.dialer.Session(r.Endpoint().ID) }

func (r *rig) dials() int { return r.dialer.Dials(r.Endpoint().ID) }

// begin starts a call that must be possible.
func (r *rig) begin() *conn.Link {
	r.t.Helper()
	l := r.want("a call needs it", conn.Ready).Link
	if !l.Begin() {
		r.t.Fatal("a READY link refuses a call")
	}
	return l
}

// call makes calls that end in the given way.
func (r *rig) call(outcomes ...balancer.Outcome) {
	r.t.Helper()
	for _, o := range outcomes {
		r.begin().Done(o)
	}
	synctest.Wait()
}

func repeat(o balancer.Outcome, n int) []balancer.Outcome {
	all := make([]balancer.Outcome, n)
	for i := range all {
		all[i] = o
	}
	return all
}
