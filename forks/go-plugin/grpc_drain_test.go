// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
)

// A call in flight when the plugin drains may still call back.
func TestGRPCDrain(t *testing.T) {
	for name, options := range brokerCases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, options)
			// The broker has its stream: after a GOAWAY none begins, and an id that is served
			// beside the call may be announced that late.
			if text, err := p.stub.callback(t.Context(), "Via", "the host"); text != "the host" || err != nil {
				t.Fatalf("callback = %q, %v", text, err)
			}
			draining := make(chan error, 1)
			go func() { draining <- p.watchDrain(t.Context()) }()
			type answer struct {
				text string
				err  error
			}
			answered := make(chan answer, 1)
			go func() {
				text, err := p.stub.callback(t.Context(), "Late", "the host")
				answered <- answer{text, err}
			}()
			<-p.impl.held
			if n := p.service.InFlight(); n != 1 {
				t.Errorf("inFlight = %d, want 1", n)
			}
			select {
			case err := <-draining:
				t.Fatalf("watchDrain = %v before the drain", err)
			default:
			}

			p.service.NotifyDrain()
			if err := <-draining; err != nil {
				t.Errorf("watchDrain = %v", err)
			}
			if err := p.client.Ping(); err != nil {
				t.Errorf("Ping while draining = %v", err)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				p.service.GracefulStop(t.Context())
			}()
			close(p.impl.gate)
			if a := <-answered; a.text != "the host" || a.err != nil {
				t.Errorf("call in flight = %q, %v, want its answer", a.text, a.err)
			}
			<-stopped
			_, err := p.stub.call(t.Context(), "Name", "")
			if options.mux { // whose session ends apart from its service
				if status.Code(err) != codes.Unavailable {
					t.Errorf("call after the drain = %v, want Unavailable", err)
				}
				return
			}
			wantLost(t, "call after the drain", err)
		})
	}
}

// A call that does not end is cut off when the time is over.
func TestGRPCDrainTimeout(t *testing.T) {
	p := newGRPCPair(t, pairOptions{mux: true})
	failed := make(chan error, 1)
	go func() {
		_, err := p.stub.call(t.Context(), "Hold", "")
		failed <- err
	}()
	<-p.impl.held
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.service.GracefulStop(ctx)
	wantLost(t, "call cut off", <-failed)
}

// Streams that hosts hold open must not keep a server from stopping.
func TestGRPCGracefulStopEndsOwnStreams(t *testing.T) {
	p := newGRPCPair(t, pairOptions{mux: true})
	reflect, err := grpc_reflection_v1.NewServerReflectionClient(p.client.Conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	watch, err := grpc_health_v1.NewHealthClient(p.client.Conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	p.service.GracefulStop(t.Context())
	if _, err := reflect.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("reflection stream ended with %v, want an orderly end", err)
	}
	if _, err := watch.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("health stream ended with %v, want an orderly end", err)
	}
}
