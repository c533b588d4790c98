// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

// wantUnavailable holds that nothing was sent, for want of an endpoint.
func wantUnavailable(t *testing.T, what string, err error) {
	t.Helper()
	f, ok := stub.Cause(err)
	if !ok || f.Reason != stub.ReasonUnavailable || f.MayHaveRun || stub.SourceOf(err) != stub.SourceNetwork {
		t.Errorf("%s: got %v, of the %s", what, err, stub.SourceOf(err))
	}
}

// TestStopped holds that whatever is asked of a daemon that has ended is told so by one error.
func TestStopped(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	d, stop := start(t, options("greeter="+address))
	held, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for what, ask := range map[string]func() error{
		"a held value": func() error { _, err := held.Greet("Ada"); return err },
		"Call": func() error {
			_, err := d.Call(t.Context(), "greeter", commons.GreeterKind, "Greet", []byte(`["Ada"]`))
			return err
		},
		"Dispense again": func() error {
			_, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
			return err
		},
		"Dispense of another kind": func() error {
			_, err := daemon.Dispense[commons.PingPonger](t.Context(), d, "greeter", commons.PingPongerKind)
			return err
		},
	} {
		err := ask()
		wantUnavailable(t, what, err)
		if !errors.Is(err, daemon.ErrStopped) {
			t.Errorf("%s: %v is not %v", what, err, daemon.ErrStopped)
		}
	}
}

// TestDispenseInVain holds that it fails as a call does, whatever it waits for in vain.
func TestDispenseInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options("")
		o.Required = []string{"greeter"}
		o.Sources = []discovery.Source{manual.New("none")}
		d, err := daemon.New(o)
		if err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(run) }()
		dispense := func(ctx context.Context) error {
			_, err := daemon.Dispense[commons.Greeter](ctx, d, "greeter", commons.GreeterKind)
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), o.CallTimeout)
		defer cancel()
		err = dispense(ctx)
		wantUnavailable(t, "in time", err)
		if _, ok := errors.AsType[*fleet.NotReadyError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in time: got %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := dispense(ctx); stub.SourceOf(err) != stub.SourceCaller || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v, of the %s", err, stub.SourceOf(err))
		}
		waiting := make(chan error, 1)
		go func() { waiting <- dispense(t.Context()) }()
		synctest.Wait()
		stop()
		err = <-waiting
		wantUnavailable(t, "when the daemon ends", err)
		if !errors.Is(err, daemon.ErrStopped) {
			t.Errorf("when the daemon ends: got %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
