// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/env"
	"io"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/sniff"
	"github.com/hashicorp/go-plugin/printable"
)

// Alerts that end a TLS conversation before it began (RFC 8446, section 6).
const (
	alertUnexpectedMessage = 10
	alertHandshakeFailure  = 40
)

// admit brings a connection to the point where its protocol starts: TLS, the
// first bytes, the handshake. Until then the other side is nobody, and gets a
// bounded share of time and memory. A host that it returns, even with an error,
// is counted in, and must leave.
func (s *networkServer) admit(ctx context.Context, conn net.Conn) (*hostSession, error) {
	leave := s.pending.enter(conn)
	defer leave()
	_ = conn.SetDeadline(time.Now().Add(s.config.HandshakeTimeout))

	conn, r, proto, err := s.secure(ctx, conn)
	if err != nil {
		return nil, err
	}
	var host *hostSession
	if proto == sniff.Hello {
		host, err = s.greet(conn, r, leave)
	} else {
		host, err = s.greetless(sniff.NewConn(conn, r), proto, sniff.Stranger(r), leave)
	}
	if err != nil {
		return nil, err
	}
	return host, conn.SetDeadline(time.Time{})
}

// secure looks at the first bytes and speaks TLS if that is configured. What it
// returns is inside of TLS.
func (s *networkServer) secure(ctx context.Context, conn net.Conn) (net.Conn, *bufio.Reader, sniff.Proto, error) {
	r := bufio.NewReader(conn)
	proto, err := sniff.Detect(r)
	if err != nil {
		return nil, nil, proto, firstBytesError(r, err)
	}
	switch {
	case proto == sniff.TLS && s.tls == nil:
		sendAlert(conn, alertHandshakeFailure)
		return nil, nil, proto, fmt.Errorf("it speaks TLS, but TLS is not configured here (%s, %s)", env.TLSCert, env.TLSKey)
	case proto != sniff.TLS && s.tls != nil:
		sendAlert(conn, alertUnexpectedMessage)
		return nil, nil, proto, fmt.Errorf("it does not speak TLS, which this plugin requires (%s)", proto)
	case proto != sniff.TLS:
		return conn, r, proto, nil
	}
	secure := tls.Server(rpcmux.NewOverflowConn(sniff.NewConn(conn, r)), s.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		lingerOn(conn) // It has been sent an alert.
		return nil, nil, proto, fmt.Errorf("TLS: %w", err)
	}
	r = bufio.NewReader(secure)
	proto, err = sniff.Detect(r)
	return secure, r, proto, firstBytesError(r, err)
}

// sendAlert tells a TLS stack why it gets no further. There is no session to
// carry it, so it is written by hand: record type alert, version 1.0 for the
// oldest reader, length 2, fatal.
func sendAlert(conn net.Conn, alert byte) {
	_, _ = conn.Write([]byte{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, alert})
	lingerOn(conn)
}

// Bounds of lingerOn.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// lingerOn waits until the peer has hung up, for a short while, and drops what
// it still sends. To close a connection with unread bytes resets it, and the
// peer's kernel then throws away the last words that were meant for it.
func lingerOn(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, lingerBytes)
	}
}

// errSilent is a connection that was opened and left, as TCP probes do.
var errSilent = errors.New("it said nothing")

// firstBytesError says how far a peer came that never said what it wants.
func firstBytesError(r *bufio.Reader, err error) error {
	switch {
	case err == nil:
		return nil
	case r.Buffered() > 0:
		return fmt.Errorf("it broke off after %d bytes, which fit no protocol or several: %w", r.Buffered(), err)
	}
	return fmt.Errorf("%w: %w", errSilent, err)
}

// greet answers a hello. It calls admitted before the answer, which makes the
// host start: from then on a flood of others must not push it out.
func (s *networkServer) greet(conn net.Conn, r *bufio.Reader, admitted func()) (*hostSession, error) {
	host, err := s.negotiate(conn, r, admitted)
	if err == nil {
		return host, nil
	}
	var refusal *hello.Refusal
	if errors.As(err, &refusal) {
		_ = hello.WriteRefusal(conn, refusal)
		lingerOn(conn)
	}
	return nil, err
}

func (s *networkServer) negotiate(conn net.Conn, r *bufio.Reader, admitted func()) (*hostSession, error) {
	request, err := hello.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	cookie := hello.Cookie{Key: s.opts.MagicCookieKey, Value: s.opts.MagicCookieValue}
	agreed, err := hello.Negotiate(request, cookie, s.offers.forHost(request.Protocols))
	if err != nil {
		return nil, err
	}
	// The session takes the reader's place as soon as it is admitted.
	host := s.newHostSession(sniff.NewConn(conn, r), agreed, request.Host)
	if err := s.sessions.add(host); err != nil {
		return nil, err
	}
	admitted()
	if err := host.prepare(); err != nil {
		s.leave(host)
		return nil, &hello.Refusal{Code: hello.CodeBusy, Message: printable.Line(printable.Clip(err.Error(), maxRefusal))}
	}
	line, err := s.offers.line(agreed, s.kinds(agreed))
	if err == nil {
		_, err = conn.Write(line)
	}
	if err != nil {
		s.leave(host)
		return nil, fmt.Errorf("send answer: %w", err)
	}
	return host, nil
}

// maxRefusal bounds the words of the plugin's own error in a refusal, in bytes.
const maxRefusal = 512

// kinds is what the plugin serves in a session that is prepared.
func (s *networkServer) kinds(agreed hello.Agreement) []hello.Kind {
	if agreed.Protocol == string(ProtocolGRPC) {
		return s.services[agreed.Version].kinds()
	}
	kinds, _ := s.offers.netRPC[agreed.Version]()
	return kinds
}

// greetless takes a peer that starts a protocol without a hello: a host built
// with the original library, or any gRPC client. It gets what the original
// library would have served.
func (s *networkServer) greetless(conn net.Conn, proto sniff.Proto, stranger string, admitted func()) (*hostSession, error) {
	var agreed hello.Agreement
	healthOnly := false
	switch proto {
	case sniff.Yamux:
		v, ok := s.defaultVersion(ProtocolNetRPC)
		if !ok {
			return nil, errors.New("it speaks net/rpc, but no version of this plugin does")
		}
		agreed = hello.Agreement{Version: v.version, Protocol: string(ProtocolNetRPC)}
	case sniff.HTTP2:
		v, ok := s.defaultVersion(ProtocolGRPC)
		// Without a gRPC version there is still the health service to be asked.
		healthOnly = !ok
		agreed = hello.Agreement{Version: v.version, Protocol: string(ProtocolGRPC)}
	default:
		refusal := &hello.Refusal{Code: hello.CodeMalformed,
			Message: "this is a go-plugin plugin; what came is no handshake, no yamux and no HTTP/2"}
		_ = hello.WriteRefusal(conn, refusal)
		lingerOn(conn)
		return nil, errors.New("what it sent is no handshake, no yamux and no HTTP/2: " + stranger)
	}
	host := s.newHostSession(conn, agreed, "")
	if healthOnly {
		host.plugins = nil // those of version 0, if there is one, speak net/rpc
	}
	if err := s.sessions.add(host); err != nil {
		return nil, err
	}
	admitted()
	if err := host.prepare(); err != nil {
		s.leave(host)
		return nil, err
	}
	return host, nil
}

// defaultVersion is what a host is given that names no version: the announced one
// if that is served over p, else the lowest that is.
func (s *networkServer) defaultVersion(p Protocol) (servedVersion, bool) {
	if s.announced.protocol == p {
		return s.announced, true
	}
	for i := len(s.served) - 1; i >= 0; i-- {
		if s.served[i].protocol == p {
			return s.served[i], true
		}
	}
	return servedVersion{}, false
}
