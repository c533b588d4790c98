// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
)

// A caller that gives up ends the method's context where both sides can, and has its own
// answer at once everywhere.
func TestCallContextCancel(t *testing.T) {
	for name, test := range map[string]struct {
		host    hostOfWaiter
		reaches bool
	}{
		"network":      {attachToWaiter, true},
		"old host":     {oldHostOfWaiter, false},
		"child's host": {hostOfWaitingChild, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newWaitPlugin()
			client, end := test.host(t, p)
			ctx, cancel := context.WithCancelCause(t.Context())
			called := make(chan error, 1)
			go func() { called <- plugin.CallContext(ctx, client, "Plugin.Wait", 0, new(int)) }()
			<-p.server.running
			bored := errors.New("bored")
			cancel(bored)
			if err := <-called; !errors.Is(err, context.Canceled) || !errors.Is(err, bored) || !strings.Contains(err.Error(), "Plugin.Wait") {
				t.Errorf("the caller got %v", err)
			}
			if test.reaches {
				if err := <-p.server.ended; !errors.Is(err, context.Canceled) {
					t.Errorf("the method's context ended with %v", err)
				}
			}
			var twice int
			if err := plugin.CallContext(t.Context(), client, "Plugin.Twice", 4, &twice); err != nil || twice != 8 {
				t.Errorf("the next call: %d, %v", twice, err)
			}
			if err := end(); err != nil {
				t.Error(err)
			}
			if !test.reaches {
				if err := <-p.server.ended; !errors.Is(err, plugin.ErrConnectionLost) {
					t.Errorf("the method's context ended with %v", err)
				}
			}
		})
	}
}

// The deadline and the metadata of the caller's context are the method's.
func TestCallContextCarries(t *testing.T) {
	p := newWaitPlugin()
	client, _ := attachToWaiter(t, p)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-ab-cd-01"), time.Hour)
	defer cancel()
	var said Said
	if err := plugin.CallContext(ctx, client, "Plugin.Say", 0, &said); err != nil {
		t.Fatal(err)
	}
	if said.Traceparent != "00-ab-cd-01" || said.Left < 59*time.Minute || said.Left > time.Hour {
		t.Errorf("the method was told %+v", said)
	}
	// It ends there by itself, too.
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := plugin.CallContext(ctx, client, "Plugin.Wait", 0, new(int)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	<-p.server.running
	if err := <-p.server.ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("the method's context ended with %v", err)
	}
}

// A context that has ended sends nothing.
func TestCallContextEnded(t *testing.T) {
	p := newWaitPlugin()
	client, _ := attachToWaiter(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := plugin.CallContext(ctx, client, "Plugin.Wait", 0, new(int)); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if err := client.Call("Plugin.Twice", 1, new(int)); err != nil {
		t.Error(err)
	}
	if len(p.server.running) > 0 {
		t.Error("the plugin was called")
	}
}

// Metadata that cannot be sent are the caller's error, and nobody else's.
func TestCallContextUnfit(t *testing.T) {
	client, _ := attachToWaiter(t, newWaitPlugin())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "a key", "x")
	var unfit *plugin.RPCEncodeError
	if err := plugin.CallContext(ctx, client, "Plugin.Twice", 1, new(int)); !errors.As(err, &unfit) {
		t.Errorf("the error is %v", err)
	}
	var twice int
	if err := client.Call("Plugin.Twice", 1, &twice); err != nil || twice != 2 {
		t.Errorf("the next call: %d, %v", twice, err)
	}
}

// Any rpc.Client can be called with a context.
func TestCallContextOfStranger(t *testing.T) {
	here, there := net.Pipe()
	server := rpc.NewServer()
	held := &holder{running: make(chan struct{}), gate: make(chan struct{})}
	if err := server.RegisterName("Plugin", held); err != nil {
		t.Fatal(err)
	}
	go server.ServeConn(there)
	client := rpc.NewClient(here)
	defer client.Close()
	var twice int
	if err := plugin.CallContext(t.Context(), client, "Plugin.Twice", 2, &twice); err != nil || twice != 4 {
		t.Errorf("%d, %v", twice, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan error, 1)
	reply := 7
	go func() { called <- plugin.CallContext(ctx, client, "Plugin.Hold", 1, &reply) }()
	<-held.running
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	close(held.gate)
	if err := client.Call("Plugin.Twice", 2, &twice); err != nil { // behind the late answer
		t.Error(err)
	}
	if reply != 7 {
		t.Errorf("the late answer was written to the reply: %d", reply)
	}
}

type holder struct{ running, gate chan struct{} }

func (h *holder) Hold(n int, r *int) error {
	h.running <- struct{}{}
	<-h.gate
	*r = n
	return nil
}

func (*holder) Twice(n int, r *int) error { *r = 2 * n; return nil }
