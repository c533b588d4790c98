// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrNotHello is matched, by errors.Is, by the error for a peer that does not
// speak the handshake.
var ErrNotHello = errors.New("the peer does not speak the go-plugin handshake")

// ErrNotPlugin is matched besides if the peer is surely no plugin of any age.
var ErrNotPlugin = errors.New("the peer is not a plugin")

// ErrTLS is matched besides if the peer speaks TLS and was addressed without.
var ErrTLS = errors.New("TLS")

// Peer is a guess, from its first bytes, at what a peer is that answered the
// handshake with something else.
type Peer int

// What a peer may be. PeerClosed, PeerYamux and PeerHTTP2 may well be a plugin
// built with a go-plugin that has no handshake on the wire.
const (
	PeerUnknown Peer = iota
	// PeerClosed ended the connection without a byte.
	PeerClosed
	// PeerTLS sent a TLS record: it wants TLS and got a plain connection.
	PeerTLS
	// PeerYamux sent a yamux frame, as a net/rpc plugin does.
	PeerYamux
	// PeerHTTP2 sent an HTTP/2 SETTINGS frame, as a gRPC server does.
	PeerHTTP2
	// PeerHTTP1 sent an HTTP/1 status line.
	PeerHTTP1
	// PeerHTML sent a page without a status line.
	PeerHTML
	// PeerSSH is an SSH server.
	PeerSSH
)

// String says what the peer seems to be, as part of a sentence.
func (p Peer) String() string {
	switch p {
	case PeerClosed:
		return "it closed the connection without an answer; it may be a plugin without the handshake, or not a plugin"
	case PeerTLS:
		return "it looks like a TLS server that was addressed without TLS"
	case PeerYamux:
		return "it looks like a net/rpc plugin without the handshake"
	case PeerHTTP2:
		return "it looks like a gRPC server without the handshake"
	case PeerHTTP1:
		return "it looks like a web server, not a plugin"
	case PeerHTML:
		return "it looks like a web page, not a plugin"
	case PeerSSH:
		return "it looks like an SSH server, not a plugin"
	default:
		return "it is nothing that this host knows"
	}
}

// NotHelloError describes a peer that said something else than the handshake,
// or nothing. errors.Is(err, ErrNotHello) holds for it.
type NotHelloError struct {
	// First are the first bytes that came, at most 64.
	First []byte
	// Guess is what the peer seems to be.
	Guess Peer
	// Err is the I/O error that ended the reading, if one did.
	Err error
}

// Error quotes the first bytes with everything unprintable escaped.
func (e *NotHelloError) Error() string {
	text := ErrNotHello.Error()
	if len(e.First) > 0 {
		text += fmt.Sprintf(": it sent %q", e.First)
	}
	if e.Err != nil && e.Guess != PeerClosed {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text + ": " + e.Guess.String()
}

// Unwrap returns ErrNotHello, what else the guess says, and the I/O error if there
// is one.
func (e *NotHelloError) Unwrap() []error {
	all := []error{ErrNotHello}
	switch e.Guess {
	case PeerTLS:
		all = append(all, ErrTLS)
	case PeerHTTP1, PeerHTML, PeerSSH, PeerUnknown:
		all = append(all, ErrNotPlugin)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

func guess(first []byte) Peer {
	switch {
	case len(first) == 0:
		return PeerClosed
	// The content type of a TLS record: 0x15 alert, 0x16 handshake; then the
	// major version, 3 (RFC 8446, section 5.1).
	case len(first) >= 2 && (first[0] == 0x15 || first[0] == 0x16) && first[1] == 3:
		return PeerTLS
	// Before yamux, whose frames start with a zero too: a 24-bit length, type
	// 4 and stream 0 (RFC 9113, section 6.5). A server's first frame is that.
	case len(first) >= 9 && first[0] == 0 && first[3] == 4 && bytes.Equal(first[5:9], []byte{0, 0, 0, 0}):
		return PeerHTTP2
	// yamux: version 0, a type of 0 to 3.
	case len(first) >= 2 && first[0] == 0 && first[1] <= 3:
		return PeerYamux
	case bytes.HasPrefix(first, []byte("HTTP/")):
		return PeerHTTP1
	case bytes.HasPrefix(first, []byte("SSH-")):
		return PeerSSH
	case bytes.HasPrefix(first, []byte("<")):
		return PeerHTML
	default:
		return PeerUnknown
	}
}
