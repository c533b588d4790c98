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
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session is a host and a plugin over a real socket. The knock of a dial is a
// function call, and every call of the returned function ends the session.
func session(t testing.TB, limit time.Duration) (*Host, *Plugin, func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrivals := rendezvous.NewListeners()
	plugin := NewPlugin(limit, arrivals)
	server := grpc.NewServer()
	pluginpb.RegisterTunnelServer(server, plugin)
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	host := NewHost(conn, rendezvous.NewListeners())
	end := sync.OnceFunc(func() {
		host.Close()
		arrivals.Close()
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	t.Cleanup(end)
	return host, plugin, end
}

// knockAt answers the plugin's knocks for id as a broker does.
func knockAt(t testing.TB, host *Host, plugin *Plugin, id uint32, limit time.Duration) func(string) error {
	return func(name string) error {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if err := host.Answer(ctx, id, name); err != nil {
				plugin.Refuse(name, err.Error())
			}
		}()
		return nil
	}
}

func accept(lis net.Listener) <-chan net.Conn {
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := lis.Accept(); err == nil {
			accepted <- conn
		}
	}()
	return accepted
}

// dialBy dials an id from either side and returns both ends.
var dialBy = map[string]func(testing.TB, *Host, *Plugin, uint32) (dialled, accepted net.Conn, err error){
	"host": func(t testing.TB, h *Host, p *Plugin, id uint32) (net.Conn, net.Conn, error) {
		lis := p.Listen(id)
		defer lis.Close()
		other := accept(lis)
		conn, err := h.Dial(t.Context(), id)
		if err != nil {
			return nil, nil, err
		}
		return conn, <-other, nil
	},
	"plugin": func(t testing.TB, h *Host, p *Plugin, id uint32) (net.Conn, net.Conn, error) {
		lis := h.Listen(id)
		defer lis.Close()
		other := accept(lis)
		conn, err := p.Dial(t.Context(), id, knockAt(t, h, p, id, 10*time.Second))
		if err != nil {
			return nil, nil, err
		}
		return conn, <-other, nil
	},
}

func TestConn(t *testing.T) {
	for name, dial := range dialBy {
		t.Run(name+" dials", func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				host, plugin, end := session(t, time.Second)
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
	for name, dial := range dialBy {
		t.Run(name+" dials", func(t *testing.T) {
			host, plugin, _ := session(t, time.Second)
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
	for name, dial := range dialBy {
		t.Run(name+" dials", func(t *testing.T) {
			host, plugin, _ := session(t, time.Second)
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

func TestNobodyAccepts(t *testing.T) {
	const wait = 10 * time.Millisecond
	host, plugin, _ := session(t, wait)
	_, err := host.Dial(t.Context(), 71)
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "nobody accepts broker id 71") {
		t.Errorf("host's Dial = %v, want NotFound naming id 71", err)
	}
	_, err = plugin.Dial(t.Context(), 72, knockAt(t, host, plugin, 72, wait))
	if err == nil || !strings.Contains(err.Error(), "nobody accepts broker id 72") {
		t.Errorf("plugin's Dial = %v, want an error naming id 72", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	_, err = plugin.Dial(ctx, 73, func(string) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "73") {
		t.Errorf("plugin's Dial of a silent host = %v, want a deadline error naming id 73", err)
	}
	if err := host.Answer(ctx, 74, "none"); err == nil {
		t.Error("Answer to an id that nobody accepts = nil error")
	}
	if plugin.dials.Deliver("1", answer{}) || plugin.dials.Deliver("2", answer{}) {
		t.Error("a dial that has failed still waits")
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
		"stale knock": {
			reason: "an answer that comes too late must not reach another dial",
			md:     metadata.Pairs(keyID, "5", keyKnock, "1000"),
			code:   codes.NotFound, text: "knock 1000",
		},
	}
	host, plugin, _ := session(t, time.Second)
	defer plugin.Listen(5).Close()
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

// Many ids of many sessions at once: each byte must reach its own id in its
// own session.
func TestSessionsAndIDsStayApart(t *testing.T) {
	var work wait.Group
	for s := range 3 {
		host, plugin, _ := session(t, 10*time.Second)
		for name, dial := range dialBy {
			for id := range uint32(50) {
				work.Go(func() {
					a, b, err := dial(t, host, plugin, id)
					if err != nil {
						t.Error(err)
						return
					}
					defer a.Close()
					defer b.Close()
					want := fmt.Sprintf("session %d, %s dials %d", s, name, id)
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
	host, plugin, end := session(t, time.Second)
	a, b, err := dialBy["host"](t, host, plugin, 1)
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
	host, plugin, _ := session(b, time.Second)
	from, to, err := dialBy["host"](b, host, plugin, 1)
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
