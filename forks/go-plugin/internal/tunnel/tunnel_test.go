// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accepting hands over what arrives for the ids that it knows.
type accepting struct {
	pluginpb.UnimplementedTunnelServer
	ids sync.Map // of chan net.Conn
}

func (a *accepting) Open(stream pluginpb.Tunnel_OpenServer) error { return Serve(stream, a.take) }

func (a *accepting) take(_ context.Context, id uint32, knock string, conn net.Conn) error {
	accepted, ok := a.ids.Load(id)
	if !ok {
		return fmt.Errorf("nobody accepts %d, for which %q", id, knock)
	}
	accepted.(chan net.Conn) <- conn
	return nil
}

// session is a host and a plugin over a real socket. Every call of the returned
// function ends the session.
func session(t testing.TB) (*Opener, *accepting, func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plugin := &accepting{}
	server := grpc.NewServer()
	pluginpb.RegisterTunnelServer(server, plugin)
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	host := NewOpener(conn)
	end := sync.OnceFunc(func() {
		host.Close()
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	t.Cleanup(end)
	return host, plugin, end
}

// ends opens a connection for id.
func ends(t testing.TB, host *Opener, plugin *accepting, id uint32) (ofHost, ofPlugin net.Conn, err error) {
	accepted := make(chan net.Conn, 1)
	plugin.ids.Store(id, accepted)
	conn, err := host.Open(t.Context(), id, "")
	if err != nil {
		return nil, nil, err
	}
	return conn, <-accepted, nil
}

// sides are the two ends of a connection, that of each side first.
var sides = map[string]func(testing.TB, *Opener, *accepting, uint32) (a, b net.Conn, err error){
	"host": ends,
	"plugin": func(t testing.TB, h *Opener, p *accepting, id uint32) (net.Conn, net.Conn, error) {
		a, b, err := ends(t, h, p, id)
		return b, a, err
	},
}

func TestConn(t *testing.T) {
	for name, dial := range sides {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				host, plugin, end := session(t)
				a, b, err := dial(t, host, plugin, 1)
				return a, b, func() {
					_ = a.Close()
					_ = b.Close()
					end()
				}, err
			})
		})
	}
}

func TestHalfClose(t *testing.T) {
	for name, dial := range sides {
		t.Run(name, func(t *testing.T) {
			host, plugin, _ := session(t)
			a, b, err := dial(t, host, plugin, 9)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for _, half := range []struct{ from, to net.Conn }{{a, b}, {b, a}} {
				sent := bytes.Repeat([]byte("half"), maxChunk) // several chunks
				go func() {
					_, _ = half.from.Write(sent)
					_ = half.from.(*Conn).CloseWrite()
				}()
				got, err := io.ReadAll(half.to)
				if err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("read %d bytes, %v, want the %d that were sent", len(got), err, len(sent))
				}
			}
			if _, err := a.Write([]byte("more")); err == nil {
				t.Error("Write after CloseWrite = nil error")
			}
			if err := errors.Join(a.Close(), a.Close()); err != nil {
				t.Errorf("Close = %v", err)
			}
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read after Close = %v, want net.ErrClosed", err)
			}
		})
	}
}

func TestCloseDeliversWhatWasWritten(t *testing.T) {
	for name, dial := range sides {
		t.Run(name, func(t *testing.T) {
			host, plugin, _ := session(t)
			for _, reverse := range []bool{false, true} {
				from, to, err := dial(t, host, plugin, 2)
				if err != nil {
					t.Fatal(err)
				}
				if reverse {
					from, to = to, from
				}
				sent := bytes.Repeat([]byte("x"), 10_000)
				if _, err := from.Write(sent); err != nil {
					t.Fatal(err)
				}
				_ = from.Close()
				got, err := io.ReadAll(to)
				if err != nil || len(got) != len(sent) {
					t.Errorf("read %d bytes, %v, want %d and no error", len(got), err, len(sent))
				}
				_ = to.Close()
			}
		})
	}
}

func TestRefusedStreams(t *testing.T) {
	cases := map[string]struct {
		reason string
		md     metadata.MD
		code   codes.Code
		text   string
	}{
		"no id": {
			reason: "the id is what the stream is for",
			code:   codes.InvalidArgument, text: keyID,
		},
		"bad id": {
			reason: "an id has 32 bits",
			md:     metadata.Pairs(keyID, "4294967296"),
			code:   codes.InvalidArgument, text: "4294967296",
		},
		"not taken": {
			reason: "the host is told why",
			md:     metadata.Pairs(keyID, "5", keyKnock, "1000"),
			code:   codes.NotFound, text: `nobody accepts 5, for which "1000"`,
		},
	}
	host, _, _ := session(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			stream, err := host.client.Open(metadata.NewOutgoingContext(t.Context(), tc.md))
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			if status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: %v, want %v with %q", tc.reason, err, tc.code, tc.text)
			}
		})
	}
}

// Many connections of many sessions at once: each byte must reach its own in its own
// session.
func TestSessionsAndIDsStayApart(t *testing.T) {
	var work wait.Group
	for s := range 3 {
		host, plugin, _ := session(t)
		for name, dial := range sides {
			for id := range uint32(50) {
				if name == "plugin" {
					id += 50
				}
				work.Go(func() {
					a, b, err := dial(t, host, plugin, id)
					if err != nil {
						t.Error(err)
						return
					}
					defer a.Close()
					defer b.Close()
					want := fmt.Sprintf("session %d, %s writes %d", s, name, id)
					go func() { _, _ = io.WriteString(a, want) }()
					got := make([]byte, len(want))
					if _, err := io.ReadFull(b, got); err != nil || string(got) != want {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				})
			}
		}
	}
	work.Wait()
}

func TestEndOfSessionFailsConnections(t *testing.T) {
	host, plugin, end := session(t)
	a, b, err := sides["host"](t, host, plugin, 1)
	if err != nil {
		t.Fatal(err)
	}
	// Neither end reads, and none is closed by its owner.
	for _, conn := range []net.Conn{a, b} {
		_ = conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := conn.Write(make([]byte, 4<<20))
		if !isTimeout(err) {
			t.Fatalf("Write to a peer that does not read = %v, want a timeout", err)
		}
		_ = conn.SetWriteDeadline(time.Time{})
	}
	end()
	for name, conn := range map[string]net.Conn{"host's": a, "plugin's": b} {
		if _, err := io.Copy(io.Discard, conn); err == nil {
			t.Errorf("%s end reads to an orderly end of file, want the session's error", name)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func BenchmarkTunnel(b *testing.B) {
	host, plugin, _ := session(b)
	from, to, err := sides["host"](b, host, plugin, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer to.Close()
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	var reading wait.Group
	reading.Go(func() { _, _ = io.Copy(io.Discard, to) })
	for b.Loop() {
		if _, err := from.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	_ = from.Close()
	reading.Wait()
}
