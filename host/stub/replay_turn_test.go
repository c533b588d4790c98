// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// outcomes is a Router that notes what becomes of the leases of another one.
type outcomes struct {
	balancer.Router

	mu  sync.Mutex
	got []balancer.Outcome
}

// Pick implements balancer.Router.
func (o *outcomes) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	lease, err := o.Router.Pick(ctx, protocol, tried)
	if err != nil {
		return nil, err
	}
	return &notedLease{lease, o}, nil
}

func (o *outcomes) seen() []balancer.Outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got)
}

type notedLease struct {
	balancer.Lease
	outcomes *outcomes
}

// Done implements balancer.Lease.
func (l *notedLease) Done(out balancer.Outcome) {
	l.outcomes.mu.Lock()
	l.outcomes.got = append(l.outcomes.got, out)
	l.outcomes.mu.Unlock()
	l.Lease.Done(out)
}

// startNoted has one endpoint whose Configure waits until release is called, and notes
// what becomes of leases.
func startNoted(t *testing.T, protocol plugin.Protocol) (m *memories, noted *outcomes, arrived <-chan struct{}, release func()) {
	t.Helper()
	m = startMemories(t, protocol, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[0])
	noted = &outcomes{Router: router}
	m.callWithin = m.caller(t, protocol, Config{Router: noted, State: NewState(), Methods: m.methods})
	arrived, release = m.memories[0].holding()
	t.Cleanup(release)
	return m, noted, arrived, release
}

// TestTurnIsNoTimeout has a call wait in vain behind a slow Configure of another caller:
// nothing was sent, and the endpoint is as healthy as before.
func TestTurnIsNoTimeout(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, noted, arrived, release := startNoted(t, protocol)
		first := m.begin(t.Context(), "Configure", "a")
		<-arrived
		ctx, cancel := context.WithTimeout(t.Context(), channelWait+channelWait/2)
		defer cancel()
		_, err := m.callWithin(ctx, "Configure", "b")
		f, ok := Cause(err)
		if !ok || f.MayHaveRun || f.Reason != ReasonUnavailable {
			t.Errorf("the call that waited ended with %v", err)
		}
		if want := "the call waits behind another request that the endpoint remembers (Configure)"; !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
		for _, o := range noted.seen() {
			if o != balancer.NotSent {
				t.Errorf("a lease of a call that waited came back as %v", o)
			}
		}
		release()
		if got := <-first; got.err != nil {
			t.Error(got.err)
		}
	})
}

// TestTurnElsewhere has a call find another endpoint when the turn of its first does not come.
func TestTurnElsewhere(t *testing.T) {
	forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
		m, router, release, ask, _ := startAimed(t, protocol)
		defer release()
		router.at.Store(m.pods[0])
		got := <-ask
		if got.err != nil || got.reply != "a/x" {
			t.Errorf("a call behind a slow replay got %+v", got)
		}
	})
}
