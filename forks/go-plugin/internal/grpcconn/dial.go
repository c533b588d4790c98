// SPDX-License-Identifier: MPL-2.0

// Package grpcconn makes gRPC connections between host and plugin, and tells what
// becomes of them: whether an error is the connection's or the plugin's, whether the
// plugin is about to leave, how a method that panicked is answered.
package grpcconn

import (
	"context"
	"math"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/idleread"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Config says how a connection is made.
type Config struct {
	// Dial connects, and connects again when the connection was lost.
	Dial func(context.Context) (net.Conn, error)
	// Mux, if not nil, makes the calls, as far as it can do so with Options. Dial is not
	// called before one has to be made by HTTP/2.
	Mux   *grpcmux.Client
	Creds credentials.TransportCredentials // nil: plaintext
	// Closed, if not nil, is told when the connection is closed, also before it has dialled.
	// It does not block. With Mux it may not be told.
	Closed func()
	// MaxReceive and MaxSend bound one message, in bytes; zero or less: no bound.
	MaxReceive, MaxSend int
	Local               bool              // the other side is on this machine
	Options             []grpc.DialOption // win over this package's own
}

// New returns a connection. It starts connecting right away and does not wait for it.
// The caller closes it.
func New(cfg Config) (*grpc.ClientConn, error) {
	creds := cfg.Creds
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	watch := new(lossWatch)
	defaults := []grpc.CallOption{grpc.MaxCallRecvMsgSize(bound(cfg.MaxReceive)), grpc.MaxCallSendMsgSize(bound(cfg.MaxSend))}
	own := []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := cfg.Dial(ctx)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: conn, reader: idleread.NewReader(conn), watch: watch}, nil
		}),
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(defaults...),
		// A remote plugin's connection cannot be made again, so that it must
		// not be given up for want of calls.
		grpc.WithIdleTimeout(0),
		grpc.WithChainUnaryInterceptor(watch.call),
		grpc.WithChainStreamInterceptor(watch.stream),
	}
	if cfg.Local {
		own = append(own, LocalOptions()...)
	}
	byMux := cfg.Mux != nil && len(cfg.Options) == 0
	if byMux {
		own = append(own, grpc.WithUnaryInterceptor(cfg.Mux.Unary), grpc.WithStreamInterceptor(cfg.Mux.Stream))
	}
	if cfg.Closed != nil {
		own = append(own, tellClosed(cfg.Closed))
	}
	conn, err := grpc.NewClient(target, append(own, cfg.Options...)...)
	if err != nil {
		return nil, err
	}
	if byMux {
		cfg.Mux.Conn, cfg.Mux.Defaults = conn, defaults
	} else {
		conn.Connect()
	}
	return conn, nil
}

// bound is a bound as gRPC takes it.
func bound(n int) int {
	if n <= 0 {
		return math.MaxInt32
	}
	return n
}

// DialOnce returns a Config.Dial that hands out conn to its first call. gRPC dials
// again when a connection is lost, but a session has only the one that shook hands.
func DialOnce(conn net.Conn) func(context.Context) (net.Conn, error) {
	var mu sync.Mutex
	return func(context.Context) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if conn == nil {
			return nil, peererr.ErrConnectionLost
		}
		c := conn
		conn = nil
		return c, nil
	}
}
