// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// sickHealth answers each ping of a host over gRPC with a long error.
type sickHealth struct {
	grpc_health_v1.UnimplementedHealthServer
	text string
}

func (s sickHealth) Check(context.Context, *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return nil, status.Error(codes.Internal, s.text)
}

// hangUp is a connection that tells when it was closed.
type hangUp struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

// Close implements net.Conn.
func (h *hangUp) Close() error {
	h.once.Do(func() { close(h.done) })
	return h.Conn.Close()
}

// failPings serves gRPC and nothing but pings.
func failPings(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, answerOf("grpc", nil))
		server := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(server, sickHealth{text: text})
		defer server.Stop()
		conn := &hangUp{Conn: c, done: make(chan struct{})}
		_ = server.Serve(&once{conn}) // it has taken the only connection
		<-conn.done
	}
}

// failRPCPings answers whatever is asked on the control channel of a session of
// messages (PROTOCOL.md, "Messages") with an error.
func failRPCPings(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, answerOf("netrpc", map[string]any{"features": []string{"mux"}}))
		for {
			head := make([]byte, 4)
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			request := make([]byte, min(binary.BigEndian.Uint32(head), 1<<20))
			if _, err := io.ReadFull(c, request); err != nil {
				return
			}
			if len(request) < 3 || request[0]&^0x80 != 1 || request[1] != 0 {
				continue
			}
			_, n := binary.Uvarint(request[2:])
			failure := append([]byte{3, 0}, request[2:2+max(n, 0)]...)
			failure = append(failure, text...)
			if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(failure))), failure...)); err != nil {
				return
			}
		}
	}
}

// TestLargePingErrors has each ping of a host answered with an error that is beyond the
// bound of a message, or just within. It costs one message at most, and one line.
func TestLargePingErrors(t *testing.T) {
	t.Parallel()
	huge, within := strings.Repeat("\x1b[2J", 25_000_000), strings.Repeat("\x1b[2J", 16_000_000)
	for name, behave := range map[string]func(net.Conn){
		"a ping error of 100 MB over net/rpc": failRPCPings(huge), "a ping error of 64 MB over net/rpc": failRPCPings(within),
		"a ping error of 100 MB over gRPC": failPings(huge), "a ping error of 4 MB over gRPC": failPings(within[:4_000_000]),
	} {
		t.Run(name, func(t *testing.T) {
			underAttack(t, name, serveHostile(t, behave), messageMemory, func(d *daemonProcess) {
				d.log.await(t, `(evil.*(\[2J|COMPRESSION_ERROR|no answer to a ping|at most (67108864|294912)))`)
			})
		})
	}
}
