// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/chaos/caller"
	"github.com/reattach/reattach/test/chaos/counter"
)

// TestFrozenReplica stops one of three replicas under calls of ten seconds. Each is
// answered by another replica in time, whether or not somebody withdraws the one that
// is stopped.
func TestFrozenReplica(t *testing.T) {
	// How long calls are made. What bounds each of them is CallTimeout below: an answer that
	// takes longer is an error.
	const limit = 9 * time.Second
	whens := map[string]time.Duration{"stays": 0, "is withdrawn at once": time.Millisecond, "is withdrawn": 6 * time.Second, "is withdrawn late": 7500 * time.Millisecond}
	for name, after := range whens {
		for _, protocol := range []string{"netrpc", "grpc"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				log := logPath(t)
				var endpoints []target.Endpoint
				var replicas []*replica
				for _, name := range []string{"a", "b", "c"} {
					r := startReplica(t, name, log, "REPLICA_PROTOCOL="+protocol)
					replicas = append(replicas, r)
					endpoints = append(endpoints, target.Endpoint{ID: target.MakeID("counter", r.address()), Plugin: "counter", Placement: target.Network, Address: r.address()})
				}
				source := manual.New("manual", target.Group{Key: "all", Endpoints: endpoints})
				o := options()
				o.Kinds, o.Sources, o.CallTimeout = caller.Kinds(protocol), []discovery.Source{source}, 10*time.Second
				d := start(t, o)
				c, err := daemon.Dispense[counter.Counter](t.Context(), d, "counter", counter.Kind)
				if err != nil {
					t.Fatal(err)
				}
				(&storm{t: t, d: d}).serving(replicas)
				l := startLoad(idempotent{c})
				for len(l.since(time.Now().Add(-time.Second))) < len(replicas) {
					pause(10 * time.Millisecond)
				}
				replicas[0].signal(syscall.SIGSTOP)
				if after > 0 {
					pause(after)
					source.Update(target.Group{Key: "all", Endpoints: endpoints[1:]})
				}
				pause(limit - after)
				var longest time.Duration
				answers := l.finish()
				for _, a := range answers {
					longest = max(longest, a.took)
					if a.err != nil {
						t.Errorf("after %v: %v", a.took, a.err)
					}
				}
				t.Logf("%d calls, the longest took %v", len(answers), longest.Round(time.Millisecond))
			})
		}
	}
}

// idempotent makes every call one that may be repeated. Callers rest in between: what is
// timed is how soon a host notices, and not how busy the machine is.
type idempotent struct{ counter.Counter }

func (i idempotent) Get(id string) (string, error) {
	pause(10 * time.Millisecond)
	return i.Counter.Get(id)
}

func (i idempotent) Add(id string) (string, error) { return i.Get(id) }
