// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/sniff"
)

// Alerts that end a TLS conversation before it began (RFC 8446, section 6).
const (
	alertUnexpectedMessage = 10
	alertHandshakeFailure  = 40
)

// secure looks at the first bytes and speaks TLS if that is configured. What it
// returns is inside of TLS.
func (h *Handshaker) secure(ctx context.Context, conn net.Conn) (net.Conn, *bufio.Reader, sniff.Proto, error) {
	r := bufio.NewReader(conn)
	proto, err := sniff.Detect(r)
	if err != nil {
		return nil, nil, proto, firstBytesError(r, err)
	}
	switch {
	case proto == sniff.TLS && h.cfg.TLS == nil:
		sendAlert(conn, alertHandshakeFailure)
		return nil, nil, proto, fmt.Errorf("it speaks TLS, but TLS is not configured here (%s, %s)", env.TLSCert, env.TLSKey)
	case proto != sniff.TLS && h.cfg.TLS != nil:
		sendAlert(conn, alertUnexpectedMessage)
		return nil, nil, proto, fmt.Errorf("it does not speak TLS, which this plugin requires (%s)", proto)
	case proto != sniff.TLS:
		return conn, r, proto, nil
	}
	secure := tls.Server(mux.NewOverflowConn(sniff.NewConn(conn, r)), h.cfg.TLS)
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

// ErrSilent is a connection that was opened and left, as TCP probes do.
var ErrSilent = errors.New("it said nothing")

// firstBytesError says how far a peer came that never said what it wants.
func firstBytesError(r *bufio.Reader, err error) error {
	switch {
	case err == nil:
		return nil
	case r.Buffered() > 0:
		return fmt.Errorf("it broke off after %d bytes, which fit no protocol or several: %w", r.Buffered(), err)
	}
	return fmt.Errorf("%w: %w", ErrSilent, err)
}
