// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// pinged is a host's connection on which it pings as often as a test likes: gRPC's
// own keepalive allows no more than one in ten seconds.
type pinged struct {
	net.Conn
	mu sync.Mutex // a ping goes between two writes
}

func (c *pinged) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(p)
}

// ping sends a PING frame of HTTP/2 (RFC 9113, section 6.7).
func (c *pinged) ping() error {
	_, err := c.Write([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	return err
}

// replacedConns dials for a host, and knows its connections.
type replacedConns struct {
	mu    sync.Mutex
	conns []*pinged
}

func (r *replacedConns) option(addr func() net.Addr) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, addr().Network(), addr().String())
		if err != nil {
			return nil, err
		}
		c := &pinged{Conn: conn}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.conns = append(r.conns, c)
		return c, nil
	})
}

func (r *replacedConns) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

func (r *replacedConns) newest() *pinged {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conns[len(r.conns)-1]
}

// A child whose gRPC server gives its connections up goes on: calls, output and
// callbacks find the next connection.
func TestChildConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replace func(t *testing.T, conns *replacedConns)
	}{
		"bounds their age": {func(*testing.T, *replacedConns) {}},
		"allows few pings": {func(t *testing.T, conns *replacedConns) {
			conn := conns.newest()
			for range 8 {
				if conn.ping() != nil {
					break // It has had enough of them.
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(printRole(plugin.ProtocolGRPC), envServer+"="+name)
			var output printedOutput
			round := &outputRound{config: &plugin.ClientConfig{Cmd: cmd}, protocol: plugin.ProtocolGRPC}
			round.out(&output)
			round.config.Plugins["relay"] = &relay{}
			conns := &replacedConns{}
			var client *plugin.Client
			round.config.GRPCDialOptions = []grpc.DialOption{conns.option(func() net.Addr {
				addr, _ := client.Start()
				return addr
			})}
			client = plugin.NewClient(round.config)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := protocol.Dispense("relay")
			if err != nil {
				t.Fatal(err)
			}
			stub := raw.(*relay)
			for generation := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				// More than the pipes hold, which would block a plugin that nobody reads.
				for range 3 {
					untilAnswered(t, ctx, func() error { return callPrinter(protocol, printedLines) })
				}
				untilAnswered(t, ctx, func() error {
					answer, err := stub.callback(ctx, "Via", "host")
					if err == nil && answer != "host" {
						t.Errorf("the callback answers %q", answer)
					}
					return err
				})
				untilAnswered(t, ctx, func() error {
					_, err := stub.opened(ctx, "")
					return err
				})
				cancel()
				test.replace(t, conns)
				testkit.Eventually(t, "the connection is replaced", func() bool {
					_ = protocol.Ping() // gRPC connects when there is a call.
					return conns.count() > generation+1
				})
			}
			client.Kill()
			for stream, buf := range map[string]*lockedBuffer{"stdout": &output.stdout, "stderr": &output.stderr} {
				// What is on its way when a connection is cut is lost with it.
				if n := strings.Count(buf.String(), "\n"); n < 9*printedLines*8/10 {
					t.Errorf("%s has %d of %d lines", stream, n, 9*printedLines)
				}
			}
		})
	}
}

// untilAnswered repeats a call that lost its connection.
func untilAnswered(t *testing.T, ctx context.Context, call func() error) {
	t.Helper()
	for {
		err := call()
		if err == nil {
			return
		}
		again := errors.Is(err, plugin.ErrConnectionLost) || status.Code(err) == codes.Unavailable || strings.Contains(err.Error(), "broker")
		if !again || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// A remote session by HTTP/2 ends with its one connection, with a reason, and the next one
// has output and callbacks again. What a plugin has set for its server's connections ends
// none that the handshake was made on: there is no HTTP/2 on those.
func TestRemoteConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"bounds their age", "allows few pings"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			pod := startPrintPod(t, plugin.ProtocolGRPC, envServer+"="+server)
			proxy := newCutProxy(t, pod.addr)
			var output printedOutput
			round := &outputRound{config: &plugin.ClientConfig{Reattach: &plugin.ReattachConfig{Addr: proxy.addr(), Protocol: plugin.ProtocolGRPC}}, protocol: plugin.ProtocolGRPC}
			round.out(&output)
			round.config.Plugins["relay"] = &relay{}
			client := plugin.NewClient(round.config)
			defer client.Kill()
			for range 3 {
				session, err := client.Session()
				if err != nil {
					t.Fatal(err)
				}
				if session.Info() != nil {
					t.Fatalf("Info = %v", session.Info())
				}
				before := strings.Count(output.stdout.String(), "\n")
				// It may end before it has answered, and again.
				if err := callPrinter(session, printedLines); err == nil {
					testkit.Eventually(t, "the output is read", func() bool {
						return session.Err() != nil || strings.Count(output.stdout.String(), "\n") >= before+printedLines
					})
				} else if !errors.Is(err, plugin.ErrConnectionLost) {
					t.Fatal(err)
				}
				if server == "allows few pings" {
					proxy.inject([]byte(strings.Repeat("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", 8)))
				}
				if err := lostSession(t, session); !errors.Is(err, plugin.ErrConnectionLost) {
					t.Errorf("the session has ended because of %v", err)
				}
			}
		})
	}
}
