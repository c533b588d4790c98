// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// HealthName is a plugin's name in the standard health service.
const HealthName = "plugin"

// Session is the host's side of a gRPC session. Its methods may be called from any
// goroutine, once all fields are set.
type Session struct {
	Conn *grpc.ClientConn
	// Mux makes the calls of a session with that feature; nil: there is none.
	Mux *grpcmux.Client
	// Broker is closed with the session.
	Broker io.Closer
	// Output receives the plugin's output; nil: none is received.
	Output Output
	// Beneath, if not nil, is closed after Conn.
	Beneath io.Closer

	// Plugin is done when the plugin's process, or the session, has ended.
	Plugin context.Context
	// Detach, if not nil, is called before anything is closed, so that whoever holds the
	// session knows why it ends. It reports whether the plugin may be asked to end: a
	// child, or one that takes Shutdown for the end of the session.
	Detach func() (ask bool)
	// Remote says that the plugin is no child: it ends the session alone, and Plugin may
	// be the session's.
	Remote bool

	// Lost is done when the session was closed, or Lose was called, which says that it is
	// of no more use, though calls may go on. Its cause says why.
	Lost context.Context
	Lose context.CancelCauseFunc

	close func() error // once
}

// Output passes the plugin's output on to the host's writers.
type Output interface {
	// Opened is closed when the plugin was asked for it.
	Opened() <-chan struct{}
	// Finish waits until all that comes was passed on, or until ctx ends. It does not
	// ask the plugin again.
	Finish(ctx context.Context)
	// Close ends it at once.
	Close()
}

// NewSession returns a session whose other fields the caller sets. It owns conn.
func NewSession(conn *grpc.ClientConn) *Session {
	s := &Session{Conn: conn}
	s.Lost, s.Lose = context.WithCancelCause(context.Background())
	s.close = sync.OnceValue(s.end)
	return s
}

// WatchDrain blocks until the plugin says that it is about to leave, which gives nil,
// or until ctx or the session ends.
func (s *Session) WatchDrain(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := grpc_health_v1.NewHealthClient(s.Conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: HealthName})
	for err == nil {
		var health *grpc_health_v1.HealthCheckResponse
		health, err = watch.Recv()
		if err == nil && health.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			return nil
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("watch the plugin's health: %w", peererr.Clean(err))
}

// IsSessionMethod reports whether a full method name belongs to one of the session's
// own services, whose calls are not the plugin's.
func IsSessionMethod(method string) bool {
	service := strings.TrimPrefix(method[:max(0, strings.LastIndexByte(method, '/'))], "/")
	switch service {
	case "plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return true
	}
	return false
}

// AwaitOutput waits until a child was asked for its output, which it sends ahead of an
// answer to whoever has asked. Other plugins keep it for the host.
func (s *Session) AwaitOutput() {
	if s.Remote {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	s.awaitOpened(ctx, s.Plugin)
}

func (s *Session) awaitOpened(ctx, plugin context.Context) {
	if s.Output == nil {
		return
	}
	select {
	case <-s.Output.Opened():
	case <-plugin.Done():
	case <-ctx.Done():
	}
}

// FinishOutput waits until what has come of the plugin's output was passed on and there
// is no more, or until ctx ends.
func (s *Session) FinishOutput(ctx context.Context) {
	if s.Output != nil {
		s.Output.Finish(ctx)
	}
}

// Close ends the session. What the plugin wrote before is passed on first, unless that
// takes more than stdio.FlushTimeout. Calls in flight fail as lost.
func (s *Session) Close() error { return s.close() }

func (s *Session) end() error {
	// The host's writers may block, so that the wait is bounded.
	reading, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	ask, plugin, wait := true, s.Plugin, stdio.ShutdownTimeout
	if s.Detach != nil {
		ask = s.Detach()
	}
	if s.Remote {
		plugin, wait = reading, stdio.FlushTimeout // Plugin is done, if it is the session's.
	}
	if ask {
		// To ask for the output is of no use after the plugin was asked to end.
		s.awaitOpened(reading, plugin)
	}
	_ = s.Broker.Close()
	if ask && s.shutDown(plugin, wait) {
		// What came before the answer is read from now on, however long that took.
		rest, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
		defer cancel()
		s.FinishOutput(rest)
	}
	if s.Output != nil {
		s.Output.Close()
	}
	s.Lose(peererr.Lost(net.ErrClosed))
	err := s.Conn.Close()
	if s.Beneath != nil {
		_ = s.Beneath.Close()
	}
	return err
}

// shutDown asks the plugin to end. It reports whether the output ends by itself now.
func (s *Session) shutDown(plugin context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(plugin, wait)
	defer cancel()
	// A plugin that ends does not always get to answer.
	_, err := pluginpb.NewGRPCControllerClient(s.Conn).Shutdown(ctx, &pluginpb.Empty{})
	return status.Code(err) != codes.DeadlineExceeded
}
