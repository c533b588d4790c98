// SPDX-License-Identifier: MPL-2.0

package dial_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var request = &hello.Request{Versions: []int{1}, Protocols: []string{hello.NetRPC}}

// serve serves each connection, and closes it then.
func serve(t *testing.T, answer func(n int64, conn net.Conn)) dial.Target {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for n := int64(1); ; n++ {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			all.Add(1)
			go func() {
				defer all.Done()
				defer conn.Close()
				answer(n, conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = lis.Close()
		all.Wait()
	})
	return dial.Target{Addr: lis.Addr(), Hello: request}
}

// accept answers a hello, and sends the beginning of the session with the answer.
func accept(conn net.Conn) {
	if _, err := hello.ReadRequest(bufio.NewReader(conn)); err == nil {
		_ = hello.WriteAnswer(conn, &hello.Answer{Version: 1, Protocol: hello.NetRPC})
		_, _ = io.WriteString(conn, "session")
	}
}

func TestDial(t *testing.T) {
	conn, answer, err := serve(t, func(_ int64, conn net.Conn) { accept(conn) }).Dial(t.Context())
	if err != nil || answer.Version != 1 {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	defer conn.Close()
	if begun, err := io.ReadAll(conn); string(begun) != "session" || err != nil {
		t.Errorf("the session reads %q, %v", begun, err)
	}
}

// A host that is hung up on tries once more, and only once.
func TestDialToOneThatHangsUp(t *testing.T) {
	for name, stays := range map[string]bool{"Goes": false, "IsReplaced": true} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			conn, _, err := serve(t, func(n int64, conn net.Conn) {
				conns.Store(n)
				if stays && n == 2 {
					accept(conn)
					return
				}
				_, _ = hello.ReadRequest(bufio.NewReader(conn))
			}).Dial(t.Context())
			if err == nil {
				_ = conn.Close()
			}
			var other *hello.NotHelloError
			if stays != (err == nil) || err != nil && (!errors.As(err, &other) || !other.MayBePlugin()) {
				t.Errorf("error %v", err)
			}
			if n := conns.Load(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// The same while TLS is spoken: a plugin that will not have the host would send an alert.
func TestDialToOneThatHangsUpInTLS(t *testing.T) {
	authority := testkit.NewAuthority(t, "tests", nil)
	pair := authority.Issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	for name, c := range map[string]struct {
		first func(conn net.Conn)
		tries int64
	}{
		"Closes": {func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 5)) }, 2},
		"Resets": {func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 5))
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, 2},
		"ClosesInOrder": {func(conn net.Conn) {
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		}, 2},
		"Alerts": {func(conn net.Conn) {
			_, _ = conn.Write([]byte{0x15, 3, 1, 0, 2, 2, 40})
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			target := serve(t, func(n int64, conn net.Conn) {
				conns.Store(n)
				if n == 1 {
					c.first(conn)
					return
				}
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
				defer secure.Close()
				accept(secure)
			})
			target.TLS = &tls.Config{RootCAs: authority.Pool()}
			conn, _, err := target.Dial(t.Context())
			if err == nil {
				_ = conn.Close()
			}
			if n := conns.Load(); n != c.tries || (err == nil) != (c.tries == 2) {
				t.Errorf("%d connections, error %v", n, err)
			}
		})
	}
}

func TestDialToStranger(t *testing.T) {
	_, _, err := serve(t, func(_ int64, conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}).Dial(t.Context())
	if !errors.Is(err, hello.ErrNotPlugin) {
		t.Errorf("error %v", err)
	}
}

func TestDialGivesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err := serve(t, func(_ int64, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }).Dial(ctx)
	if !errors.Is(err, dial.ErrNoAnswer) {
		t.Errorf("error %v", err)
	}
}
