// SPDX-License-Identifier: MPL-2.0

// Package sniff tells from the first bytes of a connection which protocol its
// client speaks, so that one port can serve all of them.
package sniff

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// Proto is a protocol that a client may begin with.
type Proto int

const (
	// Unknown is anything that a plugin does not serve.
	Unknown Proto = iota
	// TLS is a ClientHello record; what is inside it is sniffed again.
	TLS
	// Hello is the handshake of package hello.
	Hello
	// Yamux is a net/rpc host without that handshake.
	Yamux
	// HTTP2 is a gRPC client without that handshake: a host, a probe, a tool.
	HTTP2
)

// String returns the protocol's name for logs.
func (p Proto) String() string {
	switch p {
	case TLS:
		return "tls"
	case Hello:
		return "hello"
	case Yamux:
		return "yamux"
	case HTTP2:
		return "http2"
	default:
		return "unknown"
	}
}

const (
	// tlsHandshake and tlsMajor begin every TLS record that can open a
	// connection (RFC 8446, section 5.1).
	tlsHandshake, tlsMajor = 0x16, 0x03
	// yamuxVersion and the largest frame type begin every yamux frame (yamux
	// spec, "Framing").
	yamuxVersion, yamuxLastType = 0x00, 0x03
	// preface opens an HTTP/2 connection (RFC 9113, section 3.4).
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	// prefaceEnough of it cannot be anything else.
	prefaceEnough = len("PRI * HTTP/2.0")
)

// Detect looks at the first bytes in br, and consumes none. The first byte
// chooses the candidate; only as many more are waited for as it takes to be
// sure of that one, so a client that speaks first and then waits is never kept
// waiting. Bytes that contradict the candidate give Unknown at once, with no
// error.
//
// The deadline is the caller's; its passing, like every other I/O error, is
// returned with Unknown. A client that closes without a byte gives io.EOF, one
// that closes within the first bytes io.ErrUnexpectedEOF.
func Detect(br *bufio.Reader) (Proto, error) {
	first, err := br.Peek(1)
	if err != nil {
		return Unknown, fmt.Errorf("sniff: %w", err)
	}
	switch first[0] {
	case tlsHandshake:
		return second(br, TLS, tlsMajor, tlsMajor)
	case yamuxVersion:
		return second(br, Yamux, 0, yamuxLastType)
	case hello.Prefix[0]:
		return word(br, Hello, hello.Prefix, len(hello.Prefix))
	case preface[0]:
		return word(br, HTTP2, preface, prefaceEnough)
	default:
		return Unknown, nil
	}
}

// second confirms a candidate by its second byte.
func second(br *bufio.Reader, candidate Proto, low, high byte) (Proto, error) {
	head, err := peek(br, 2)
	if err != nil || head[1] < low || head[1] > high {
		return Unknown, err
	}
	return candidate, nil
}

// word confirms a candidate by the first enough bytes of text, and by as much
// of the rest as has come with them.
func word(br *bufio.Reader, candidate Proto, text string, enough int) (Proto, error) {
	for n := 2; n <= enough; n++ {
		head, err := peek(br, n)
		if err != nil || head[n-1] != text[n-1] {
			return Unknown, err
		}
	}
	head, err := peek(br, min(br.Buffered(), len(text)))
	if err != nil || !bytes.HasPrefix([]byte(text), head) {
		return Unknown, err
	}
	return candidate, nil
}

func peek(br *bufio.Reader, n int) ([]byte, error) {
	head, err := br.Peek(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("sniff: %w", err)
	}
	return head, nil
}
