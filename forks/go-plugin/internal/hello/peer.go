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

// Peer is what the other side seems to be, by its first bytes, and what that
// means for whoever meant to reach a plugin there.
type Peer string

// The peers that are told apart. All others are surely no plugin, and only named.
const (
	// PeerUnknown began as nothing that is known here.
	PeerUnknown Peer = ""
	// PeerClosed ended the connection without a byte.
	PeerClosed Peer = "it closed the connection without an answer; it may be a plugin without the handshake, or not a plugin"
	// PeerTLS sent a TLS record: it wants TLS and got a plain connection.
	PeerTLS Peer = "it is a TLS server that was addressed without TLS: configure TLS for this plugin, or check the port"
	// PeerYamux sent a yamux frame, as a net/rpc plugin does.
	PeerYamux Peer = "it is a yamux server, such as a net/rpc plugin without the handshake"
	// PeerHTTP2 sent an HTTP/2 SETTINGS frame, as a gRPC server does.
	PeerHTTP2 Peer = "it is an HTTP/2 server, such as a gRPC server without the handshake: check the address and the port"
)

// otherServers are known by how they greet, or complain about a hello.
var otherServers = []struct{ prefix, name string }{
	{"HTTP/", "a web server"},
	{"<", "a server that sends a web page"},
	{"SSH-", "an SSH server"},
	{"220", "a mail or FTP server"},
	{"* OK", "an IMAP server"},
	{"+OK", "a POP3 server"},
	{"-ERR", "a Redis server"},
	{"ERROR\r\n", "a memcached server"},
	{"INFO {", "a NATS server"},
	{"AMQP", "an AMQP server"},
	{"RFB ", "a VNC server"},
	{"\xff\xfb", "a telnet server"},
	{"\xff\xfd", "a telnet server"},
}

func other(name string) Peer {
	return Peer("it is " + name + ", not a plugin: check the address and the port")
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

// Error says what the peer seems to be, and quotes it only where that is not known.
func (e *NotHelloError) Error() string {
	text := ErrNotHello.Error()
	if e.Err != nil && e.Guess != PeerClosed {
		text += fmt.Sprintf(": %v", e.Err)
	}
	if e.Guess != PeerUnknown {
		return text + ": " + string(e.Guess)
	}
	return text + fmt.Sprintf(": it began with %+q, which is nothing that this host knows: check the address and the port", clip(string(e.First)))
}

// MayBePlugin reports whether the peer did what a plugin of the original library does
// when it is sent a hello: hang up, or speak its own protocol.
func (e *NotHelloError) MayBePlugin() bool {
	return e.Guess == PeerClosed || e.Guess == PeerYamux || e.Guess == PeerHTTP2
}

// Unwrap returns ErrNotHello, what else the guess says, and the I/O error if there
// is one.
func (e *NotHelloError) Unwrap() []error {
	all := []error{ErrNotHello}
	switch {
	case e.Guess == PeerTLS:
		all = append(all, ErrTLS)
	case !e.MayBePlugin():
		all = append(all, ErrNotPlugin)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

// guess tells what a peer is that has begun with first.
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
	// MySQL: a 24-bit length, packet 0, protocol version 10.
	case len(first) >= 5 && first[3] == 0 && first[4] == 10:
		return other("a MySQL server")
	}
	for _, known := range otherServers {
		if bytes.HasPrefix(first, []byte(known.prefix)) {
			return other(known.name)
		}
	}
	return PeerUnknown
}
