// SPDX-License-Identifier: MPL-2.0

// Package dial reaches network plugins, as hosts do: it connects, speaks TLS, and shakes
// hands. Its counterpart on the plugin's side is package admission.
package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/sniff"
)

// ErrNoAnswer says that the context ended before the plugin has answered the hello.
var ErrNoAnswer = errors.New("no answer to the handshake")

// Target is a plugin to be reached.
type Target struct {
	// Addr is a TCP address or a unix socket.
	Addr net.Addr
	// Conn connects to Addr in some other way than by its name; nil: there is none.
	Conn func(context.Context) (net.Conn, error)
	// TLS is what the connection begins with; nil: none. The name that the plugin's
	// certificate must have is Addr's, unless it is set.
	TLS *tls.Config
	// Hello is what the host says of itself.
	Hello *hello.Request
}

// Dial connects and shakes hands. The caller closes the connection, on which the
// session begins. The errors are a [hello.Refusal], a [hello.NotHelloError], those that
// match [hello.ErrTLS], and the network's.
func (t Target) Dial(ctx context.Context) (net.Conn, *hello.Answer, error) {
	conn, answer, err := t.dial(ctx)
	if hungUp(err) {
		// A plugin that is just going hangs up as well, and behind a Service the next
		// connection may meet one that stays. So does one that a flood of others makes
		// close the connections that it waits for.
		return t.dial(ctx)
	}
	return conn, answer, err
}

// hungUp reports whether the peer has ended the connection without a word: in the middle of
// TLS, whose stack would have sent an alert, or instead of an answer.
func hungUp(err error) bool {
	if other := (*hello.NotHelloError)(nil); errors.As(err, &other) {
		return other.Guess == hello.PeerClosed
	}
	return errors.Is(err, hello.ErrTLS) &&
		(errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

func (t Target) dial(ctx context.Context) (net.Conn, *hello.Answer, error) {
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn, answer, err := ShakeHands(ctx, conn, t.Hello)
	// With TLS 1.3 a host learns only from its first read that its certificate was not
	// good enough. crypto/tls has no exported type for an alert, but a fixed operation.
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		err = fmt.Errorf("%w: the plugin turns this host's certificate down, or misses it: %w", hello.ErrTLS, op.Err)
	}
	return conn, answer, err
}

// Dialer has the kernel's probes turned on. They notice a peer whose machine is gone,
// also while no probe of ours can be sent because the connection is stuffed.
func Dialer() net.Dialer {
	return net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3,
	}}
}

// Connect connects and speaks TLS, and does not shake hands.
func (t Target) Connect(ctx context.Context) (net.Conn, error) {
	connect := t.Conn
	if connect == nil {
		connect = func(ctx context.Context) (net.Conn, error) {
			dialer := Dialer()
			switch t.Addr.(type) {
			case *net.TCPAddr, *net.UnixAddr: // It is one, which need not share the time with others.
				ctx = untimed{ctx}
			}
			return dialer.DialContext(ctx, t.Addr.Network(), t.Addr.String())
		}
	}
	conn, err := connect(ctx)
	if err != nil || t.TLS == nil {
		return conn, err
	}
	secure := tls.Client(mux.NewOverflowConn(conn), t.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %w", hello.ErrTLS, err)
	}
	return secure, nil
}

// untimed is a context that tells nobody when it ends. It ends all the same. Package net would
// set two timers more for one connection, each of which may wake a thread.
type untimed struct{ context.Context }

// Deadline implements context.Context.
func (untimed) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

func (t Target) tlsConfig() *tls.Config {
	cfg := t.TLS.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(t.Addr.String())
	}
	if name, verify := cfg.ServerName, cfg.VerifyConnection; verify != nil {
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			// crypto/tls leaves out a name that is an IP address, because it
			// does not send one.
			if state.ServerName == "" {
				state.ServerName = name
			}
			return verify(state)
		}
	}
	if len(cfg.NextProtos) == 0 {
		// A gRPC server of the original library insists on it, and others ignore it.
		cfg.NextProtos = []string{"h2"}
	}
	return cfg
}

// ShakeHands says hello on a connection and reads the answer. It returns the connection
// on which the session begins, and closes conn on an error.
func ShakeHands(ctx context.Context, conn net.Conn, request *hello.Request) (net.Conn, *hello.Answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	answer, r, err := exchange(conn, request)
	if !stop() {
		err = ErrNoAnswer
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{}) // whoever has connected may have set one
	return sniff.NewConn(conn, r), answer, nil
}

func exchange(conn net.Conn, request *hello.Request) (*hello.Answer, *bufio.Reader, error) {
	if err := hello.WriteRequest(conn, request); err != nil {
		return nil, nil, fmt.Errorf("send handshake: %w", err)
	}
	r := bufio.NewReader(conn)
	answer, err := hello.ReadAnswer(r)
	return answer, r, err
}
