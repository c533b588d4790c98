// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestDetect(t *testing.T) {
	cases := map[string]struct {
		reason string
		sent   string
		want   Proto
		err    error
	}{
		"TLS":            {reason: "A TLS 1.x record of type handshake.", sent: "\x16\x03\x01\x02\x00", want: TLS},
		"TLSShort":       {reason: "Two bytes are enough.", sent: "\x16\x03", want: TLS},
		"SSL":            {reason: "Another major version is no TLS.", sent: "\x16\x02\x00", want: Unknown},
		"Hello":          {reason: "Our handshake.", sent: "go-plugin/1 {}\n", want: Hello},
		"HelloNewer":     {reason: "The version is the parser's matter.", sent: "go-plugin/", want: Hello},
		"HelloAlmost":    {reason: "Another word.", sent: "go-plugins/1", want: Unknown},
		"Yamux":          {reason: "A SYN of the first stream.", sent: "\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00", want: Yamux},
		"YamuxGoAway":    {reason: "The last frame type.", sent: "\x00\x03", want: Yamux},
		"YamuxNoType":    {reason: "There is no type 4.", sent: "\x00\x04", want: Unknown},
		"HTTP2":          {reason: "The whole preface and a frame.", sent: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04", want: HTTP2},
		"HTTP2Enough":    {reason: "The request line is enough.", sent: "PRI * HTTP/2.0", want: HTTP2},
		"HTTP2Part":      {reason: "Some of the rest, matching.", sent: "PRI * HTTP/2.0\r\n\r\nS", want: HTTP2},
		"HTTP2Wrong":     {reason: "Some of the rest, not matching.", sent: "PRI * HTTP/2.0\r\n\r\nXX", want: Unknown},
		"HTTP1Put":       {reason: "Another method with the same first letter.", sent: "PUT / HTTP/1.1\r\n", want: Unknown},
		"HTTP1":          {reason: "A web browser.", sent: "GET / HTTP/1.1\r\n", want: Unknown},
		"SSH":            {reason: "An SSH client.", sent: "SSH-2.0-x\r\n", want: Unknown},
		"ClosedAtOnce":   {reason: "A TCP probe says nothing.", sent: "", want: Unknown, err: io.EOF},
		"ClosedInHello":  {reason: "Cut within the word.", sent: "go-", want: Unknown, err: io.ErrUnexpectedEOF},
		"ClosedInTLS":    {reason: "Cut after one byte.", sent: "\x16", want: Unknown, err: io.ErrUnexpectedEOF},
		"ClosedInPRI":    {reason: "Cut within the preface.", sent: "PRI * HTTP/2", want: Unknown, err: io.ErrUnexpectedEOF},
		"WrongThenClose": {reason: "A contradiction counts before the end.", sent: "PX", want: Unknown},
	}
	for name, tc := range cases {
		for speed, reader := range map[string]io.Reader{
			"AtOnce":  strings.NewReader(tc.sent),
			"PerByte": iotest.OneByteReader(strings.NewReader(tc.sent)),
		} {
			t.Run(name+"/"+speed, func(t *testing.T) {
				want := tc.want
				if name == "HTTP2Wrong" && speed == "PerByte" {
					want = HTTP2 // enough has come, the rest has not: it is not waited for
				}
				br := bufio.NewReader(reader)
				got, err := Detect(br)
				if got != want || !errors.Is(err, tc.err) {
					t.Errorf("%s\nwant %v, %v; got %v, %v", tc.reason, want, tc.err, got, err)
				}
				if rest, _ := io.ReadAll(br); string(rest) != tc.sent {
					t.Errorf("%s\nbytes were consumed: %q left of %q", tc.reason, rest, tc.sent)
				}
			})
		}
	}
}

// TestDetectDoesNotWait writes just enough to a real connection and keeps it
// open: Detect must return without another byte.
func TestDetectDoesNotWait(t *testing.T) {
	for want, sent := range map[Proto]string{
		TLS: "\x16\x03", Hello: "go-plugin/", Yamux: "\x00\x00", HTTP2: "PRI * HTTP/2.0", Unknown: "G",
	} {
		t.Run(want.String(), func(t *testing.T) {
			client, server := tcpPair(t)
			if _, err := io.WriteString(client, sent); err != nil {
				t.Fatal(err)
			}
			server.SetReadDeadline(time.Now().Add(10 * time.Second))
			if got, err := Detect(bufio.NewReader(server)); got != want || err != nil {
				t.Errorf("want %v; got %v, %v", want, got, err)
			}
		})
	}
}

func TestDetectDeadline(t *testing.T) {
	client, server := tcpPair(t)
	if _, err := io.WriteString(client, "go-pl"); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(server)
	if _, err := br.Peek(5); err != nil {
		t.Fatal(err)
	}
	server.SetReadDeadline(time.Now().Add(-time.Second))
	if got, err := Detect(br); got != Unknown || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("want the deadline's error; got %v, %v", got, err)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte("go-plugin/1 {}\n"))
	f.Add([]byte("\x16\x03\x01"))
	f.Add([]byte("\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		br := bufio.NewReaderSize(strings.NewReader(string(data)), len(data)+16)
		proto, err := Detect(br)
		if proto != Unknown && err != nil {
			t.Errorf("both %v and %v", proto, err)
		}
		if rest, _ := io.ReadAll(br); string(rest) != string(data) {
			t.Errorf("consumed: %q of %q left", rest, data)
		}
	})
}

func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}
