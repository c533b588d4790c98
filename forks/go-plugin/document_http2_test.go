// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit/wirepeer"
)

// unencryptedHTTP2 is what gRPC speaks in a stream of a session.
func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// item is a gRPC message with a text, behind its length.
func item(text string) []byte {
	b := wirepeer.Text(text)
	return append([]byte{0, 0, 0, byte(len(b) >> 8), byte(len(b))}, b...)
}

// oneConn is a listener that gives its connection once.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
	addr   net.Addr
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }

// serveHTTP2 answers each gRPC call on a connection with a text, by the standard library's
// HTTP/2. stop ends it.
func serveHTTP2(conn net.Conn, answer string) (stop func()) {
	lis := &oneConn{make(chan net.Conn, 1), make(chan struct{}), conn.LocalAddr()}
	lis.conn <- conn
	server := &http.Server{Protocols: unencryptedHTTP2(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(item(answer))
		w.Header().Set("Grpc-Status", "0")
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(lis) }()
	return func() { _ = server.Close(); <-served }
}

// callHTTP2 makes a unary gRPC call on a connection, by the standard library's HTTP/2.
func callHTTP2(t *testing.T, conn net.Conn, method, text string) (string, error) {
	transport := &http.Transport{Protocols: unencryptedHTTP2(), DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://stream"+method, bytes.NewReader(item(text)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.Trailer.Get("Grpc-Status") != "0" || len(b) < 5 {
		return "", fmt.Errorf("%d bytes, header %v, trailer %v, %w", len(b), res.Header, res.Trailer, err)
	}
	return wirepeer.ReadText(b[5:]), nil
}
