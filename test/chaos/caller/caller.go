// SPDX-License-Identifier: MPL-2.0

// Package caller calls a Counter from many goroutines, and writes down what each of
// them was told.
package caller

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/test/chaos/counter"
)

// Outcome is what the caller of a call was told.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered"
	Panicked Outcome = "panicked" // the plugin's answer was that
	NotRun   Outcome = "not-run"  // surely
	MayRun   Outcome = "may-run"
	Other    Outcome = "other" // an error that is nobody's
)

// Call is one call that ended.
type Call struct {
	ID, Method string
	Outcome    Outcome
	Text       string // of the error, in one line
}

// Load says how to call.
type Load struct {
	Callers int
	// Panics includes the methods that panic.
	Panics bool
	// Prefix is of every id.
	Prefix string
}

// timeout bounds the calls that must not be repeated. It is short, so that some of
// them end in time and some do not.
const timeout = 500 * time.Millisecond

// Kinds are those of a daemon that knows the counter over a protocol.
func Kinds(protocol string) []daemon.Kind {
	options := []daemon.KindOption{
		daemon.WithMethod("Get", stub.CallOptions{Idempotent: true}),
		daemon.WithMethod("GetOrPanic", stub.CallOptions{Idempotent: true}),
		daemon.WithMethod("Add", stub.CallOptions{Timeout: timeout}),
		daemon.WithMethod("AddOrPanic", stub.CallOptions{Timeout: timeout}),
	}
	if protocol == "grpc" {
		return []daemon.Kind{daemon.NewKind[counter.Counter](counter.Kind, &counter.GRPCPlugin{}, options...)}
	}
	return []daemon.Kind{daemon.NewKind[counter.Counter](counter.Kind, &counter.Plugin{}, options...)}
}

// Callers call until they are told to stop.
type Callers struct {
	stop  context.CancelFunc
	all   sync.WaitGroup
	each  []oneCaller
	calls []Call
}

type oneCaller struct {
	ended atomic.Int64 // calls
	calls []Call
}

// Start lets callers call. Stop ends them.
func Start(c counter.Counter, load Load) *Callers {
	methods := []struct {
		name string
		call func(string) (string, error)
	}{{"Get", c.Get}, {"Add", c.Add}, {"GetOrPanic", c.GetOrPanic}, {"AddOrPanic", c.AddOrPanic}}
	if !load.Panics {
		methods = methods[:2]
	}
	ctx, stop := context.WithCancel(context.Background())
	callers := &Callers{stop: stop, each: make([]oneCaller, load.Callers)}
	for n := range callers.each {
		one := &callers.each[n]
		callers.all.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				m := methods[i%len(methods)]
				id := fmt.Sprintf("%s-%d-%d", load.Prefix, n, i)
				_, err := m.call(id)
				one.calls = append(one.calls, New(id, m.name, err))
				one.ended.Add(1)
			}
		})
	}
	return callers
}

// Ended is how many calls each caller has ended.
func (c *Callers) Ended() []int64 {
	counts := make([]int64, len(c.each))
	for n := range c.each {
		counts[n] = c.each[n].ended.Load()
	}
	return counts
}

// Stop waits for the calls in flight, and returns all calls.
func (c *Callers) Stop() []Call {
	c.stop()
	c.all.Wait()
	for n := range c.each {
		c.calls = append(c.calls, c.each[n].calls...)
	}
	return c.calls
}

// New is a call that ended with err.
func New(id, method string, err error) Call {
	call := Call{ID: id, Method: method, Outcome: Answered}
	if err == nil {
		return call
	}
	call.Text = strings.Join(strings.Fields(err.Error()), " ")
	fault, ok := stub.Cause(err)
	switch {
	case ok && fault.MayHaveRun:
		call.Outcome = MayRun
	case ok:
		call.Outcome = NotRun
	case strings.Contains(call.Text, "panicked: bad luck"):
		call.Outcome = Panicked
	default:
		call.Outcome = Other
	}
	return call
}
