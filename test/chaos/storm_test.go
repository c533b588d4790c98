// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/chaos/counter"
)

const (
	// stopped is how long a replica stays under SIGSTOP.
	stopped = 5 * time.Second
	// quiet is the time between events in which the spread is measured.
	quiet = time.Second
)

// storm does things to three replicas that serve one plugin.
type storm struct {
	t        *testing.T
	d        *daemon.Daemon
	load     *load
	replicas []*replica

	kills, terms, stops, restarts int
	worst                         float64 // least over most, of the quiet times
	windows                       int
}

// TestStorm kills, ends, stops and restarts replicas at random under load. The stub is
// dispensed once.
func TestStorm(t *testing.T) {
	log := logPath(t)
	s := &storm{t: t, worst: 1}
	for _, name := range []string{"a", "b", "c"} {
		s.replicas = append(s.replicas, startReplica(t, name, log))
	}
	o := options()
	o.NetworkPlugins = addresses("counter", s.replicas)
	s.d = start(t, o)
	c, err := daemon.Dispense[counter.Counter](t.Context(), s.d, "counter", counter.Kind)
	if err != nil {
		t.Fatal(err)
	}
	s.load = startLoad(c)
	began := time.Now()
	atLeast := int(duration.Seconds() / 2) // events, however slow the machine is
	for step := 0; time.Since(began) < *duration || s.events() < atLeast; step++ {
		if step%8 == 1 {
			s.stopOne()
		} else {
			s.endOne(s.replicas)
		}
		s.serving(s.replicas)
		if step%4 == 1 {
			s.spread()
		}
	}
	lasted := time.Since(began)
	v := judge(s.load.finish(), executed(t, log))
	v.report(t,
		fmt.Sprintf("%d events in %v on 3 replicas under %d callers: %d SIGKILL, %d SIGTERM, %d SIGSTOP for %v; %d restarts; the stub was dispensed once",
			s.events(), lasted.Round(time.Second), callers, s.kills, s.terms, s.stops, stopped, s.restarts),
		fmt.Sprintf("spread in %d quiet times of %v: the least busy replica had %.0f %% of the busiest one's calls at worst", s.windows, quiet, 100*s.worst),
	)
	if s.worst < 0.8 {
		t.Errorf("the spread was %.2f at worst, want 0.8", s.worst)
	}
}

func (s *storm) events() int { return s.kills + s.terms + s.stops }

// endOne ends one of some replicas, and starts it again after a while.
func (s *storm) endOne(some []*replica) {
	s.endBy([]syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[rand.IntN(2)], some)
}

func (s *storm) endBy(how syscall.Signal, some []*replica) {
	r := some[rand.IntN(len(some))]
	if how == syscall.SIGKILL {
		s.kills++
	} else {
		s.terms++
	}
	r.end(how)
	pause(time.Duration(50+rand.IntN(250)) * time.Millisecond)
	r.start(s.t)
	s.restarts++
}

// stopOne holds one replica still while things happen to the others.
func (s *storm) stopOne() {
	still := s.replicas[rand.IntN(len(s.replicas))]
	still.signal(syscall.SIGSTOP)
	s.stops++
	began := time.Now()
	others := slices.DeleteFunc(slices.Clone(s.replicas), func(r *replica) bool { return r == still })
	for time.Since(began) < stopped-time.Second {
		s.endOne(others)
		s.serving(others)
	}
	pause(stopped - time.Since(began))
	still.signal(syscall.SIGCONT)
}

// serving waits until each of some replicas takes calls.
func (s *storm) serving(some []*replica) {
	s.t.Helper()
	eventually(s.t, patience, func() error {
		p, _ := s.d.Plugin("counter")
		for _, e := range p.Endpoints {
			wanted := slices.ContainsFunc(some, func(r *replica) bool { return r.address() == e.Address })
			if wanted && (e.State != conn.Ready || e.Ejected) {
				return fmt.Errorf("%s is %s, held back: %v, %s", e.ID, e.State, e.Ejected, e.LastError)
			}
		}
		return nil
	})
}

// spread measures how evenly calls are spread while nothing happens.
func (s *storm) spread() {
	pause(quiet / 5) // what was held up answers all at once
	began := time.Now()
	pause(quiet)
	count := s.load.since(began)
	least, most := -1, 0
	for _, r := range s.replicas {
		n := count[r.name]
		most = max(most, n)
		if least < 0 || n < least {
			least = n
		}
	}
	if most == 0 {
		s.t.Fatalf("nothing was answered in %v although all replicas are ready", quiet)
	}
	s.windows++
	s.worst = min(s.worst, float64(least)/float64(most))
}
