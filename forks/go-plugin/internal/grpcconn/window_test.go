// SPDX-License-Identifier: MPL-2.0

package grpcconn_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
)

// frameCounter counts the frames of HTTP/2 that are written, by type.
type frameCounter struct {
	net.Conn
	skip int // bytes until the next frame

	mu    sync.Mutex
	head  []byte
	types map[byte]int
}

const typePing = 6

func (c *frameCounter) Write(p []byte) (int, error) {
	c.mu.Lock()
	for _, b := range p {
		if c.skip > 0 {
			c.skip--
			continue
		}
		if c.head = append(c.head, b); len(c.head) == 9 {
			c.types[c.head[3]]++
			c.skip = int(binary.BigEndian.Uint32(c.head) >> 8)
			c.head = c.head[:0]
		}
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *frameCounter) count(kind byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.types[kind]
}

// TestLocalPings has neither side of a connection to a child measure the way to the other.
func TestLocalPings(t *testing.T) {
	for name, local := range map[string]bool{"a child": true, "any other": false} {
		t.Run(name, func(t *testing.T) {
			var options []grpc.ServerOption
			if local {
				options = grpcconn.LocalServerOptions()
			}
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer(options...)
			grpc_health_v1.RegisterHealthServer(server, health.NewServer())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = server.Serve(lis)
			}()
			var counted *frameCounter
			conn, err := grpcconn.New(grpcconn.Config{Local: local, Dial: func(ctx context.Context) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", lis.Addr().String())
				counted = &frameCounter{Conn: conn, skip: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), types: make(map[byte]int)}
				return counted, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.Close()
			server.Stop()
			<-ended
			if n := counted.count(typePing); (n == 0) != local {
				t.Errorf("%d pings, and answers to such, were written for 20 calls", n)
			}
		})
	}
}
