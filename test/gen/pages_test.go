// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"context"
	"testing"
	"time"

	"github.com/reattach/reattach/host/daemon/daemontest"
	"github.com/reattach/reattach/host/stub"

	"example.com/calculator"
	"example.com/calculator/calculatorhost"
)

// The lines of docs/library/testing.md, docs/library/errors.md and docs/extending.md are
// those of the tests below.

// table adds, and takes its time until slow is closed.
type table struct {
	calculator.Calculator
	slow chan struct{}
}

func (c table) Add(_ context.Context, a, b int) (int, error) {
	if c.slow != nil {
		<-c.slow
	}
	return a + b, nil
}

func TestPageTesting(t *testing.T) {
	p := daemontest.Serve(t, calculatorhost.Kinds()[0], table{})
	c := daemontest.Stub[calculator.Calculator](p)
	sum, err := c.Add(t.Context(), 2, 3)
	if sum != 5 || err != nil {
		t.Errorf("got %d, %v", sum, err)
	}
}

func TestPageExtending(t *testing.T) {
	p := daemontest.Serve(t, calculatorhost.Kinds()[0], table{}, daemontest.Replicas(2))
	c := daemontest.Stub[calculator.Calculator](p)
	p.Endpoint(0).Drain() // or Kill, Slow, Start
	sum, err := c.Add(t.Context(), 2, 3)
	if sum != 5 || err != nil {
		t.Errorf("got %d, %v", sum, err)
	}
}

func TestPageErrors(t *testing.T) {
	slow := make(chan struct{})
	p := daemontest.Serve(t, calculatorhost.Kinds()[0], table{slow: slow})
	defer close(slow)
	c := daemontest.Stub[calculator.Calculator](p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	sum, err := c.Add(ctx, 2, 3)
	if fault, failed := stub.Cause(err); failed {
		switch {
		case fault.Reason == stub.ReasonCaller: // the context ended
		case fault.MayHaveRun: // ask before you call again
		default: // it surely has not run: try later, or elsewhere
		}
	}
	if fault, _ := stub.Cause(err); fault.Reason != stub.ReasonCaller {
		t.Errorf("got %d, %v, want the end of the context", sum, err)
	}
}
