// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// serve serves until the service is stopped or lis is closed. The caller stops
// the service afterwards.
func (s *grpcService) serve(lis net.Listener) error {
	err := s.server.Serve(lis)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// notifyDrain tells hosts and probes that the plugin is about to leave: those
// that watch its health at once, all others with their next answer. It goes on
// serving.
func (s *grpcService) notifyDrain() {
	s.leaves.Store(true)
	s.health.SetServingStatus(GRPCServiceName, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
}

// inFlight is how many calls of the plugin are being run.
func (s *grpcService) inFlight() int64 { return int64(s.calls.Count()) }

// waitIdle returns when the plugin has had no call for a moment, or when ctx
// ends, with its error.
func (s *grpcService) waitIdle(ctx context.Context) error {
	return s.calls.WaitQuiet(ctx, drainQuiet)
}

// drain tells the hosts and stops gracefully. Of several sessions that share the
// service, each of which calls it, the first one does it for all; cut is of that one.
func (s *grpcService) drain(ctx context.Context) (cut int) {
	s.draining.Do(func() {
		s.notifyDrain()
		if s.tunnelled() && s.waitIdle(ctx) != nil {
			cut = int(s.inFlight())
			return
		}
		cut = s.gracefulStop(ctx)
	})
	return cut
}

// gracefulStop lets the calls in flight finish, with callbacks and output, then
// ends the session's own streams and the connections. When ctx ends first, it
// stops at once, and returns how many calls it cut off.
//
// A GOAWAY cuts nothing off, and sends a busy client elsewhere. But callbacks
// through a tunnel need new streams: there it has to wait.
func (s *grpcService) gracefulStop(ctx context.Context) (cut int) {
	defer s.stop()
	if s.tunnelled() && s.calls.WaitQuiet(ctx, 0) != nil {
		return s.calls.Count()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	// What came in before the GOAWAY is still answered.
	if s.calls.WaitQuiet(ctx, 0) == nil {
		hasOutput := s.output.Count() > 0
		s.end()
		s.awaitStop(ctx, stopped, hasOutput)
	}
	cut = s.calls.Count()
	s.server.Stop()
	return cut
}

// awaitStop waits for the last streams to end. A host that does not read the
// output holds up its end, also when all of it was handed to the connection, so
// it is not waited for.
func (s *grpcService) awaitStop(ctx context.Context, stopped <-chan struct{}, hasOutput bool) {
	flush := time.NewTimer(stdio.FlushTimeout)
	defer flush.Stop()
	select {
	case <-stopped:
	case <-ctx.Done():
	case <-flush.C:
		if hasOutput {
			_ = s.calls.WaitQuiet(ctx, 0)
			return
		}
		select {
		case <-stopped:
		case <-ctx.Done():
		}
	}
}

// stopAfterHost stops once the hosts have closed their connections, which they do
// when they have read the rest of the output, or after hangUpWait.
func (s *grpcService) stopAfterHost() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	wait := time.NewTimer(hangUpWait)
	defer wait.Stop()
	select {
	case <-stopped:
	case <-wait.C:
	}
	s.stop()
}

// hangUpWait is how long a plugin that was asked to end waits for its host to hang
// up. It is less than a host waits for the end.
const hangUpWait = time.Second

// stop ends everything at once. Calls in flight fail.
func (s *grpcService) stop() {
	s.once.Do(func() {
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
		if s.multiplexer != nil {
			_ = s.multiplexer.Shutdown()
		}
	})
}
