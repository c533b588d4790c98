// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/rpc"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// holderName is the name under which the test binary is the plugin of these tests.
const holderName = "holder"

// holder is a plugin whose calls take long, and which knows what it runs.
type holder interface {
	// Hold returns after a second, or when ctx has ended.
	Hold(ctx context.Context, call Held) error
	// State is what the plugin is busy with.
	State(ctx context.Context) (HolderState, error)
}

// Held is a call, and some bytes that fill the connection.
type Held struct {
	ID      int
	Padding []byte
}

// HolderState is what the plugin knows of its calls and of itself.
type HolderState struct {
	Busy       int
	Goroutines int
	Began      []int // in order
}

const holderKind = "holder"

func holderHandshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "HOLDER_PLUGIN", MagicCookieValue: "hold"}
}

// holderPlugin carries a holder over net/rpc.
type holderPlugin struct{ server *holderServer }

func (p *holderPlugin) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(p.server), nil
}

func (*holderPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return holderStub{c}, nil
}

type holderStub struct{ client *rpc.Client }

func (s holderStub) Hold(ctx context.Context, call Held) error {
	return plugin.CallContext(ctx, s.client, "Plugin.Hold", call, new(struct{}))
}

func (s holderStub) State(ctx context.Context) (state HolderState, err error) {
	err = plugin.CallContext(ctx, s.client, "Plugin.State", struct{}{}, &state)
	return state, err
}

type holderServer struct {
	busy  atomic.Int64
	mu    sync.Mutex
	began map[int]bool
}

// Hold serves Plugin.Hold.
func (s *holderServer) Hold(ctx context.Context, call Held, _ *struct{}) error {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	s.mu.Lock()
	s.began[call.ID] = true
	s.mu.Unlock()
	<-ctx.Done() // nothing else ends it
	return ctx.Err()
}

// State serves Plugin.State.
func (s *holderServer) State(_ struct{}, state *HolderState) error {
	state.Busy, state.Goroutines = int(s.busy.Load()), runtime.NumGoroutine()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.began {
		state.Began = append(state.Began, id)
	}
	slices.Sort(state.Began)
	return nil
}

// serveHolder is what the process of the plugin does.
func serveHolder() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: holderHandshake(),
		Plugins:         plugin.PluginSet{holderKind: &holderPlugin{&holderServer{began: make(map[int]bool)}}},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
	})
}

// hostOfHolder runs a daemon that is attached to the plugin.
func hostOfHolder(t *testing.T, p *networkPlugin) holder {
	t.Helper()
	o := daemon.DefaultOptions()
	o.Handshake = holderHandshake()
	o.Kinds = []daemon.Kind{daemon.NewKind[holder](holderKind, &holderPlugin{})}
	o.NetworkPlugins = "holder=" + p.address()
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	dispensed, err := daemon.Dispense[holder](t.Context(), d, "holder", holderKind)
	if err != nil {
		t.Fatal(err)
	}
	return dispensed
}

// giveUp gives up n calls, whose numbers begin with first, and returns what was said to
// have been sent and what not. No call is answered.
func giveUp(t *testing.T, h holder, first, n int, patience time.Duration, padding []byte) (sent, unsent map[int]bool) {
	var next atomic.Int64
	var mu sync.Mutex
	sent, unsent = make(map[int]bool), make(map[int]bool)
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				err := h.Hold(ctx, Held{ID: first + i, Padding: padding})
				cancel()
				f, ok := stub.Cause(err)
				if !ok || !errors.Is(err, context.DeadlineExceeded) && f.Reason != stub.ReasonUnavailable {
					t.Errorf("call %d ended with %v", first+i, err)
					continue
				}
				mu.Lock()
				told := unsent
				if f.MayHaveRun {
					told = sent
				}
				told[first+i] = true
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return sent, unsent
}

// holdTruth holds that no call has run that its caller believes not to have run.
func holdTruth(t *testing.T, state HolderState, unsent map[int]bool) {
	t.Helper()
	for _, id := range state.Began {
		if unsent[id] {
			t.Errorf("call %d has run, and its caller was told that it was not sent", id)
		}
	}
}

// TestCallsGivenUp gives up ten thousand calls after a millisecond, none of which
// ends by itself. They cost the plugin and the host nothing from then on.
func TestCallsGivenUp(t *testing.T) {
	p := startPlugin(t, roleOf(t, holderName), "PLUGIN_HOST=127.0.0.1", "HOLDER_PLUGIN=hold")
	h := hostOfHolder(t, p)
	giveUp(t, h, -1000, 64, time.Millisecond, nil) // the threads and stubs are there
	rest := func() (HolderState, error) {
		state, err := h.State(t.Context())
		if err == nil && state.Busy > 0 {
			err = fmt.Errorf("the plugin is busy with %d calls", state.Busy)
		}
		return state, err
	}
	var before HolderState
	eventually(t, func() (err error) { before, err = rest(); return err })
	here := runtime.NumGoroutine()

	const calls = 10_000
	sent, unsent := map[int]bool{}, map[int]bool{}
	var state HolderState
	made := 0
	// On a machine that is slow most are given up before they come to the plugin.
	for after := time.Millisecond; len(state.Began) < calls/100 && after < patience; after *= 4 {
		left, stayed := giveUp(t, h, made, calls, after, nil)
		maps.Copy(sent, left)
		maps.Copy(unsent, stayed)
		made += calls
		ended := time.Now()
		eventually(t, func() (err error) { state, err = rest(); return err })
		t.Logf("after %v: %d calls may have run, %d have not, %d did; the plugin was busy with none %v after the last was given up",
			after, len(sent), len(unsent), len(state.Began), time.Since(ended))
	}
	if len(sent)+len(unsent) != made {
		t.Errorf("%d calls were sent and %d not, of %d", len(sent), len(unsent), made)
	}
	if len(state.Began) < calls/100 {
		t.Errorf("only %d calls have come to the plugin", len(state.Began))
	}
	holdTruth(t, state, unsent)
	eventually(t, func() error {
		state, err := h.State(t.Context())
		if more := state.Goroutines - before.Goroutines; err == nil && more > 20 {
			err = fmt.Errorf("the plugin has %d goroutines more", more)
		}
		if more := runtime.NumGoroutine() - here; err == nil && more > 20 {
			err = fmt.Errorf("the host has %d goroutines more", more)
		}
		return err
	})
}

// TestCallsGivenUpOnTheirWay has a plugin that stops for a while, so that calls are given
// up in every place on their way. Those that have not left are known not to have run.
func TestCallsGivenUpOnTheirWay(t *testing.T) {
	p := startPlugin(t, roleOf(t, holderName), "PLUGIN_HOST=127.0.0.1", "HOLDER_PLUGIN=hold")
	h := hostOfHolder(t, p)
	if _, err := h.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// More than the sockets take.
	sent, unsent := giveUp(t, h, 0, 4000, time.Millisecond, make([]byte, 8<<10))
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// What was on its way comes before what is asked now, if the session has lived.
	var state HolderState
	eventually(t, func() (err error) { state, err = h.State(t.Context()); return err })
	t.Logf("%d calls may have run, %d have not, %d did", len(sent), len(unsent), len(state.Began))
	if len(sent) == 0 || len(unsent) == 0 {
		t.Errorf("%d calls were sent and %d not: some of both were expected", len(sent), len(unsent))
	}
	holdTruth(t, state, unsent)
}
