// SPDX-License-Identifier: MPL-2.0

// Package sniff tells from the first bytes of a connection which protocol its
// client speaks, so that one port can serve all of them.
package sniff

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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

// opening is how clients of a protocol begin.
type opening struct {
	proto Proto
	text  string
	// enough bytes of the text cannot be anything else.
	enough int
}

// openings cannot be taken for each other: no text is the beginning of another one.
var openings = []opening{
	// A TLS record that can open a connection: type handshake, major version 3
	// (RFC 8446, section 5.1).
	{TLS, "\x16\x03", 2},
	// A yamux frame: version 0, one of four types (yamux spec, "Framing").
	{Yamux, "\x00\x00", 2}, {Yamux, "\x00\x01", 2}, {Yamux, "\x00\x02", 2}, {Yamux, "\x00\x03", 2},
	{Hello, hello.Prefix, len(hello.Prefix)},
	// The preface of HTTP/2 (RFC 9113, section 3.4).
	{HTTP2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", len("PRI * HTTP/2.0")},
}

// Detect looks at the first bytes in br, and consumes none. Only as many
// are waited for as it takes to be sure, so a client that speaks first and then
// waits is never kept waiting. Bytes that no protocol begins with give Unknown at
// once, with no error.
//
// The deadline is the caller's; its passing, like every other I/O error, is
// returned with Unknown. A client that closes without a byte gives io.EOF, one
// that closes within the first bytes io.ErrUnexpectedEOF.
func Detect(br *bufio.Reader) (Proto, error) {
	for n := 1; ; n++ {
		head, err := br.Peek(n)
		if err != nil {
			if n > 1 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return Unknown, fmt.Errorf("sniff: %w", err)
		}
		i := slices.IndexFunc(openings, func(o opening) bool { return strings.HasPrefix(o.text, string(head)) })
		if i < 0 {
			return Unknown, nil
		}
		if o := openings[i]; n == o.enough {
			// What has come with it of the rest must be that, too.
			if all := peekAll(br); !strings.HasPrefix(o.text, string(all[:min(len(all), len(o.text))])) {
				return Unknown, nil
			}
			return o.proto, nil
		}
	}
}

// strangers are clients that no plugin serves, by how they begin.
var strangers = []struct{ prefix, says string }{
	{"GET ", browser}, {"HEAD ", browser}, {"POST ", browser}, {"PUT ", browser}, {"OPTIONS ", browser},
	{"CONNECT ", "it takes the plugin for a proxy"},
	{"PROXY ", balancer}, {"\r\n\r\n\x00\r\nQUIT\n", balancer},
	{"SSH-", "it is an SSH client"},
}

const (
	browser  = "it is a web client, such as a browser or a probe; PLUGIN_HEALTH_ADDR serves those"
	balancer = "it is a load balancer that announces its clients by the PROXY protocol, which must be turned off there"
)

// Stranger says what a client of an Unknown protocol seems to be, from the bytes
// that are buffered in br, of which it consumes none.
func Stranger(br *bufio.Reader) string {
	const quoted = 32
	head := string(peekAll(br))
	for _, s := range strangers {
		if strings.HasPrefix(head, s.prefix) {
			return s.says
		}
	}
	return fmt.Sprintf("it began with %+q", head[:min(len(head), quoted)])
}
