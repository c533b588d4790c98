// SPDX-License-Identifier: MPL-2.0

package multiplex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a host and a plugin over a real socket.
func pair(t *testing.T) (*Host, *Plugin) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewPlugin(hclog.NewNullLogger(), lis)
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewHost(hclog.NewNullLogger(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), server.Shutdown()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return client, server
}

// knockOn is a knock that travels by a function call.
func knockOn(acceptor *Session, id uint32) func(context.Context) error {
	return func(ctx context.Context) error {
		var answer error
		return errors.Join(acceptor.Admit(ctx, id, func(refused error) error {
			answer = refused
			return nil
		}), answer)
	}
}

// serveName sends name on every connection.
func serveName(lis net.Listener, name string) {
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, name)
		_ = conn.Close()
	}
}

func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, conn); err != nil {
		t.Errorf("read: %v", err)
	}
	return got.String()
}

func TestStreamsReachWhoTheyWereMeantFor(t *testing.T) {
	client, server := pair(t)
	sides := map[string]struct {
		reason            string
		dialler, acceptor *Session
	}{
		"host dials":   {"the plugin must tell main and brokered streams apart", client.Session, server.Session},
		"plugin dials": {"the host must route by the knock as well", server.Session, client.Session},
	}
	for name, side := range sides {
		t.Run(name, func(t *testing.T) {
			var serving, dials wait.Group
			defer serving.Wait()
			for id := range uint32(5) {
				lis := side.acceptor.Listen(id)
				defer lis.Close()
				serving.Go(func() { serveName(lis, fmt.Sprint("id ", id)) })
			}
			for i := range uint32(25) {
				dials.Go(func() {
					conn, err := side.dialler.Dial(t.Context(), knockOn(side.acceptor, i%5))
					if err != nil {
						t.Errorf("%s: dial %d: %v", side.reason, i%5, err)
						return
					}
					if got, want := readAll(t, conn), fmt.Sprint("id ", i%5); got != want {
						t.Errorf("%s: got %q, want %q", side.reason, got, want)
					}
				})
			}
			dials.Wait()
		})
	}
}

func TestStreamWithoutKnock(t *testing.T) {
	client, server := pair(t)
	var serving wait.Group
	serving.Go(func() { serveName(server, "main") })
	defer serving.Wait()
	defer server.Close()

	conn, err := client.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, conn); got != "main" {
		t.Errorf("host's stream without a knock reached %q, want main", got)
	}
	conn, err = server.Session.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, conn); got != "" {
		t.Errorf("plugin's stream without a knock brought %q, want it refused", got)
	}
}

func TestNobodyAccepts(t *testing.T) {
	client, server := pair(t)
	reason := errors.New("waited long enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, reason)
	defer cancel()
	_, err := client.Session.Dial(t.Context(), func(context.Context) error { return knockOn(server.Session, 77)(ctx) })
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), "77") {
		t.Errorf("Dial = %v, want an error that names id 77 and the cause", err)
	}
}

func TestLateAnswerDoesNotShiftStreams(t *testing.T) {
	client, server := pair(t)
	acceptor := server.Session
	var serving wait.Group
	defer serving.Wait()
	for _, name := range []string{"a", "b"} {
		lis := acceptor.Listen(uint32(name[0]))
		defer lis.Close()
		serving.Go(func() { serveName(lis, name) })
	}
	// The dialler of a does not see its answer.
	_, err := client.Session.Dial(t.Context(), func(ctx context.Context) error {
		return errors.Join(knockOn(acceptor, 'a')(ctx), errors.New("gave up"))
	})
	if err == nil {
		t.Fatal("Dial = nil error though the knock failed")
	}
	if err := client.Redeem(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := client.Session.Dial(t.Context(), knockOn(acceptor, 'b'))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, conn); got != "b" {
		t.Errorf("dial of b reached %q", got)
	}
}

func TestEndOfSession(t *testing.T) {
	ends := map[string]struct {
		reason string
		end    func(*Host, *Plugin) error
	}{
		"host":   {"a host that leaves must end the plugin's listeners", func(c *Host, _ *Plugin) error { return c.Close() }},
		"plugin": {"Shutdown must end the session", func(_ *Host, s *Plugin) error { return s.Shutdown() }},
	}
	for name, tc := range ends {
		t.Run(name, func(t *testing.T) {
			client, server := pair(t)
			brokered := server.Session.Listen(1)
			if err := tc.end(client, server); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			for _, lis := range []net.Listener{server, brokered} {
				if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: Accept = %v, want net.ErrClosed", tc.reason, err)
				}
			}
			if _, err := client.Dial(t.Context()); err == nil && name == "host" {
				t.Errorf("%s: Dial = nil error", tc.reason)
			}
		})
	}
}

func TestShutdownBeforeTheHostCame(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewPlugin(hclog.NewNullLogger(), lis)
	if err := server.Shutdown(); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if _, err := server.open(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("open = %v, want net.ErrClosed", err)
	}
}

func TestCloseKeepsConnections(t *testing.T) {
	client, server := pair(t)
	lis := server.Session.Listen(3)
	var serving wait.Group
	serving.Go(func() { serveName(lis, "three") })
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := client.Session.Dial(t.Context(), knockOn(server.Session, 3))
	if err != nil {
		t.Fatalf("Dial after the listener was closed: %v", err)
	}
	if got := readAll(t, conn); got != "three" {
		t.Errorf("got %q, want three", got)
	}
	_ = lis.Close()
	serving.Wait()
}
