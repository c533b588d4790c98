// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// HangUpTimeout is how long a plugin that was asked to end waits for its host to hang up.
// It is less than a host waits for the end.
const HangUpTimeout = time.Second

// Serve serves until the service is stopped or lis is closed. The caller stops
// the service afterwards.
func (s *Service) Serve(lis net.Listener) error {
	err := s.server.Serve(lis)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Drain tells the hosts that the plugin is about to leave, lets their calls finish and
// ends the session, with all others of its service: the first of them that is drained
// does it, and the others wait for that. Where callbacks need the connection, it waits
// until the plugin has had no call for as long as quiet. When ctx ends first, Drain
// returns how many calls it cut off.
func (s *Session) Drain(ctx context.Context, quiet time.Duration) (cut int) {
	service := s.service
	service.draining.Do(func() {
		service.NotifyDrain()
		if len(service.muxSessions()) > 0 && service.calls.WaitQuiet(ctx, quiet) != nil {
			cut = service.InFlight()
			return
		}
		cut = service.GracefulStop(ctx)
	})
	return cut
}

// NotifyDrain tells hosts and probes that the plugin is about to leave, as far as they
// watch its health or have the feature mux. It goes on serving.
func (s *Service) NotifyDrain() {
	for _, session := range s.muxSessions() {
		session.mux.SayDraining()
	}
	s.health.SetServingStatus(grpcconn.HealthName, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
}

// InFlight is how many calls of the plugin are being run.
func (s *Service) InFlight() int { return s.calls.Count() }

// GracefulStop lets the calls in flight finish, with callbacks and output, then
// ends the session's own streams and the connections. When ctx ends first, it
// stops at once, and returns how many calls it cut off.
//
// A GOAWAY cuts nothing off, and sends a busy client elsewhere. But callbacks in a session
// with the feature mux need new streams: there it has to wait.
func (s *Service) GracefulStop(ctx context.Context) (cut int) {
	defer s.Stop()
	if len(s.muxSessions()) > 0 && s.calls.WaitQuiet(ctx, 0) != nil {
		return s.InFlight()
	}
	// gRPC cannot stop gracefully while it has calls that did not come by HTTP/2.
	if !s.drainMux(ctx) {
		return max(1, s.InFlight())
	}
	stopped := s.startGracefulStop()
	// What came in before the GOAWAY is still answered.
	if s.calls.WaitQuiet(ctx, 0) == nil {
		hasOutput := s.output.Count() > 0
		s.end()
		s.awaitStop(ctx, stopped, hasOutput)
	}
	cut = s.InFlight()
	s.server.Stop()
	return cut
}

// startGracefulStop sends a GOAWAY to every host. What it returns is closed when all
// calls have ended and all connections are closed.
func (s *Service) startGracefulStop() (stopped <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.server.GracefulStop()
	}()
	return done
}

// awaitStop waits for the last streams to end. A host that does not read the
// output holds up its end, also when all of it was handed to the connection, so
// it is not waited for.
func (s *Service) awaitStop(ctx context.Context, stopped <-chan struct{}, hasOutput bool) {
	flushing := ctx
	if hasOutput {
		var cancel context.CancelFunc
		flushing, cancel = context.WithTimeout(ctx, stdio.FlushTimeout)
		defer cancel()
	}
	select {
	case <-stopped:
	case <-flushing.Done():
		_ = s.calls.WaitQuiet(ctx, 0)
	}
}

// StopAfterHost stops once the hosts have closed their connections, which they do
// when they have read the rest of the output, or after HangUpTimeout.
func (s *Service) StopAfterHost() {
	wait := time.NewTimer(HangUpTimeout)
	defer wait.Stop()
	select {
	case <-s.startGracefulStop():
	case <-wait.C:
	}
	s.Stop()
}

// Stop ends everything at once. Calls in flight fail.
func (s *Service) Stop() {
	s.stopping.Do(func() {
		s.end()
		if s.server != nil {
			s.server.Stop()
		}
		if s.shared != nil {
			s.shared.close()
		} else {
			s.main.close()
		}
		s.health.Shutdown()
		if s.cfg.Stopped != nil {
			s.cfg.Stopped()
		}
	})
}
