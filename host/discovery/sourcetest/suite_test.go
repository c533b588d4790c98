// SPDX-License-Identifier: MPL-2.0

package sourcetest_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/sourcetest"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

// flawEnv tells a child process of this test which flaw to put to the suite.
const flawEnv = "SOURCETEST_FLAW"

// flawed is a source, and its own world, that breaks the contract in one way.
// It looks whenever something changed.
type flawed struct {
	flaw string

	mu        sync.Mutex
	instances map[int]bool
	hint      chan struct{}
	sink      discovery.Sink
}

func (f *flawed) Source() discovery.Source { return f }
func (f *flawed) Name() string             { return "flawed" }

func (f *flawed) Add(n int) string {
	f.change(func() { f.instances[n] = true })
	return endpoint(n).ID
}

func (f *flawed) Remove(n int) { f.change(func() { delete(f.instances, n) }) }

func (f *flawed) change(how func()) {
	f.mu.Lock()
	how()
	f.mu.Unlock()
	if f.flaw == "send late" && f.sink != nil {
		f.sink.Update()
	}
	select {
	case f.hint <- struct{}{}:
	default:
	}
}

func (f *flawed) look() target.Group {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := target.Group{Key: "all"}
	for _, n := range slices.Sorted(maps.Keys(f.instances)) {
		e := endpoint(n)
		if f.flaw == "wrong ID" {
			e.ID = e.Address
		}
		g.Endpoints = append(g.Endpoints, e)
	}
	return g
}

func (f *flawed) Run(ctx context.Context, sink discovery.Sink) error {
	f.sink = sink
	g := f.look()
	switch f.flaw {
	case "first state in pieces":
		for i, e := range g.Endpoints {
			sink.Update(target.Group{Key: fmt.Sprint(i), Endpoints: []target.Endpoint{e}})
		}
		<-ctx.Done()
		return nil
	case "leak":
		go func() { select {} }()
	case "end with an error":
		sink.Update(g)
		<-ctx.Done()
		return ctx.Err()
	}
	sink.Update(g)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.hint:
		}
		now := f.look()
		if f.flaw == "mutate" && len(g.Endpoints) > 0 {
			g.Endpoints[0].Draining = true
		}
		g = now
		sink.Update(g)
	}
}

func endpoint(n int) target.Endpoint {
	address := fmt.Sprintf("10.0.0.%d:7000", n+1)
	return target.Endpoint{
		ID: target.MakeID("zh", address), Plugin: "zh",
		Placement: target.Network, Address: address,
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSuiteFindsFlaws runs the suite in child processes, one per flaw, as a
// failing subtest would fail this test too.
func TestSuiteFindsFlaws(t *testing.T) {
	if flaw, set := os.LookupEnv(flawEnv); set {
		sourcetest.Suite{New: func(*testing.T) sourcetest.World {
			return &flawed{flaw: flaw, instances: make(map[int]bool), hint: make(chan struct{}, 1)}
		}}.Run(t)
		return
	}
	cases := map[string]struct {
		only string // the case that shows it
		want string // "" for none
	}{
		"none":                  {"", ""},
		"mutate":                {"ChangesArrive", "groups were changed after they had been sent"},
		"wrong ID":              {"FirstUpdateIsTheWholeState", `endpoint has ID "10.0.0.1:7000", want "zh@10.0.0.1:7000"`},
		"first state in pieces": {"FirstUpdateIsTheWholeState", "endpoints of the first Update"},
		"leak":                  {"EndsWithItsContext", "found unexpected goroutines"},
		"end with an error":     {"EndsWithItsContext", "Run returned context canceled"},
		"send late":             {"NothingIsSentAfterTheEnd", "Update was called after Run had returned"},
	}
	for flaw, tc := range cases {
		t.Run(flaw, func(t *testing.T) {
			run := "^TestSuiteFindsFlaws$"
			if tc.only != "" {
				run += "/^" + tc.only + "$"
			}
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+run)
			child.Env = append(os.Environ(), flawEnv+"="+flaw)
			out, err := child.CombinedOutput()
			if failed := err != nil; failed != (tc.want != "") {
				t.Errorf("the suite failed: %v, want %v\n%s", failed, tc.want != "", out)
			}
			if !strings.Contains(string(out), tc.want) {
				t.Errorf("the suite does not say %q:\n%s", tc.want, out)
			}
		})
	}
}
