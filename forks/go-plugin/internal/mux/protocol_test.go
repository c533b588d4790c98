// SPDX-License-Identifier: MPL-2.0

package mux_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// wire reads and writes frames as PROTOCOL.md has them, and shares nothing with the package.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// frame is one that has come.
type frame struct {
	kind        byte
	fresh, more bool
	rest        []byte
}

func (f *frame) number() uint64 {
	n, size := binary.Uvarint(f.rest)
	f.rest = f.rest[max(size, 0):]
	return n
}

func (f *frame) text() string {
	n := min(f.number(), uint64(len(f.rest)))
	s := string(f.rest[:n])
	f.rest = f.rest[n:]
	return s
}

// next reads a frame; nil at the end of the connection.
func (w *wire) next() *frame {
	w.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(w.r, length[:]); err != nil {
		return nil
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(w.r, body); err != nil || len(body) == 0 || len(body) > 288<<10 {
		w.t.Fatalf("a frame of %d bytes: %v", len(body), err)
	}
	return &frame{body[0] & 0x3f, body[0]&0x80 != 0, body[0]&0x40 != 0, body[1:]}
}

// expect reads up to a frame of a kind, and gives its channel and call too.
func (w *wire) expect(kind byte) (f *frame, channel, call uint64) {
	w.t.Helper()
	for {
		switch f = w.next(); {
		case f == nil:
			w.t.Fatalf("the connection ends, want kind %d", kind)
		case f.kind == kind:
			channel = f.number()
			return f, channel, f.number()
		case f.kind == 7: // grants come when they come
		default:
			w.t.Fatalf("got kind %d %q, want %d", f.kind, f.rest, kind)
		}
	}
}

func (w *wire) send(kind byte, rest []byte, numbers ...uint64) {
	w.t.Helper()
	body := []byte{kind}
	for _, n := range numbers {
		body = binary.AppendUvarint(body, n)
	}
	body = append(body, rest...)
	if _, err := w.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		w.t.Error(err)
	}
}

// sendParts sends the parts of a value: 256 KiB of them, the rest as it is granted.
func (w *wire) sendParts(channel, call uint64, value []byte) {
	w.t.Helper()
	for allowed := 256 << 10; len(value) > 0; {
		if allowed == 0 {
			f, c, n := w.expect(7)
			if c != channel || n != call {
				w.t.Fatalf("a grant for call %d of channel %d", n, c)
			}
			allowed += int(f.number())
			continue
		}
		n, kind := min(len(value), allowed, 50_000), byte(6|0x40)
		if n == len(value) {
			kind = 6
		}
		w.send(kind, value[:n], channel, call)
		value, allowed = value[n:], allowed-n
	}
}

// takeParts takes a long value, whose size has come.
func (w *wire) takeParts(size uint64) (value []byte) {
	w.t.Helper()
	w.send(7, nil, 1, 9, size) // more than is needed by what was sent unasked
	for {
		f, channel, call := w.expect(6)
		value = append(value, f.rest...)
		if channel != 1 || call != 9 || f.more != (uint64(len(value)) < size) {
			w.t.Fatalf("a part of call %d of channel %d with %d bytes of %d, more is %v", call, channel, len(value), size, f.more)
		}
		if !f.more {
			return value
		}
	}
}

// encoded is a value as a gob stream of its own.
func encoded(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// method is a request's timeout, no metadata, and its method.
func method(name string) []byte { return append([]byte{0, 0, byte(len(name))}, name...) }

type echoer struct{}

func (echoer) Echo(in string, out *string) error { *out = in; return nil }
func (echoer) Fail(in string, _ *string) error   { return errors.New(in) }

func tcp(t *testing.T) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return here, there
}

// long is more than may be sent without a grant.
var long = strings.Repeat("0123456789", 60_000)

// TestProtocolAsHost talks to a Plugin by the document alone.
func TestProtocolAsHost(t *testing.T) {
	here, there := tcp(t)
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", echoer{}); err != nil {
		t.Fatal(err)
	}
	p := mux.NewPlugin(there, mux.PluginConfig{Control: server, Open: func(kind string) (mux.Handler, error) {
		if kind != "echo" {
			return nil, errors.New("no " + kind)
		}
		return server, nil
	}})
	served := make(chan struct{})
	go func() { defer close(served); _ = p.Serve() }()
	defer func() { _ = here.Close(); <-served }()
	if id, err := p.Register(server); id != 1 || err != nil {
		t.Fatalf("the first channel is %d, %v", id, err)
	}
	w := &wire{t, here, bufio.NewReader(here)}
	w.send(1|0x80, append(method("Plugin.Echo"), encoded(t, "a")...), 1, 5)
	f, channel, call := w.expect(2)
	var got string
	if err := gob.NewDecoder(bytes.NewReader(f.rest)).Decode(&got); err != nil || got != "a" || channel != 1 || call != 5 || !f.fresh {
		t.Errorf("the answer to call %d of channel %d is %q, %v", call, channel, got, err)
	}
	w.send(1, append(method("Plugin.Fail"), encoded(t, "no")...), 1, 6)
	if f, _, call := w.expect(3); string(f.rest) != "no" || call != 6 {
		t.Errorf("the failure of call %d is %q", call, f.rest)
	}
	value := encoded(t, long)
	w.send(1|0x40, binary.AppendUvarint(method("Plugin.Echo"), uint64(len(value))), 1, 9)
	w.sendParts(1, 9, value)
	if f, _, _ = w.expect(2); !f.more {
		t.Error("a long answer comes in one frame")
	}
	answer := w.takeParts(f.number())
	if err := gob.NewDecoder(bytes.NewReader(answer)).Decode(&got); err != nil || got != long {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	w.send(9, []byte("none"), 2)
	w.send(1|0x80, append(method("Plugin.Echo"), encoded(t, "a")...), 2, 1)
	if f, channel, _ := w.expect(4); channel != 2 || f.number() != 2 || string(f.rest) != "no none" {
		t.Errorf("the refusal is %q", f.rest)
	}
	w.send(19, append(method("Plugin.Echo"), encoded(t, "a")...), 1, 10)
	if f, _, call := w.expect(4); call != 10 || f.number() != 3 {
		t.Errorf("the refusal of call %d is %q", call, f.rest)
	}
	w.send(61, []byte("of a later version"))
	w.send(1, nil, 1) // malformed
	if f := w.next(); f == nil || f.kind != 18 || len(f.rest) == 0 {
		t.Errorf("the session ends with %+v", f)
	}
}

// TestProtocolAsPlugin talks to a Host by the document alone.
func TestProtocolAsPlugin(t *testing.T) {
	here, there := tcp(t)
	defer there.Close()
	left := make(chan struct{})
	h := mux.NewHost(here, mux.HostConfig{Draining: func() { close(left) }})
	defer h.Close()
	c := h.Channel(1)
	w := &wire{t, there, bufio.NewReader(there)}
	read := func(number uint64, text string, refused bool) {
		t.Helper()
		var r rpc.Response
		var got string
		if err := c.ReadHeader(&r); err != nil || r.Seq != number {
			t.Fatalf("got %+v, %v", r, err)
		}
		err := c.ReadReply(reflect.ValueOf(&got))
		if got+r.Error != text || mux.HasNoReply(err) != refused || err != nil && !refused {
			t.Errorf("call %d: %d bytes and %q, %v", number, len(got), r.Error, err)
		}
	}
	send := func(number uint64, args string) {
		t.Helper()
		if _, err := c.Send(mux.Request{Method: "Plugin.Echo", Number: number, Timeout: 1_000_000}, args); err != nil {
			t.Fatal(err)
		}
	}
	send(5, "a")
	f, _, _ := w.expect(1)
	const golden = "e807" + "00" + "0b" + "506c7567696e2e4563686f" + "040c000161" // 1000 µs, no pairs, Plugin.Echo, "a"
	if got := hex.EncodeToString(f.rest); got != golden || !f.fresh || f.more {
		t.Errorf("the request is %s, want %s", got, golden)
	}
	w.send(2|0x80, encoded(t, "b"), 1, 5)
	read(5, "b", false)
	w.send(3, []byte("no"), 1, 6)
	read(6, "no", false)
	w.send(4, []byte("busy"), 1, 7, 1)
	read(7, "busy", true)

	send(9, long)
	if f, _, _ = w.expect(1); !f.more || f.number() != 1000 || f.number() != 0 || f.text() != "Plugin.Echo" {
		t.Errorf("the long request is %+v", f)
	}
	size := f.number()
	taken := make(chan struct{})
	go func() { // The host reads grants while it waits for the answer.
		defer close(taken)
		value := w.takeParts(size)
		w.send(2|0x40, nil, 1, 9, uint64(len(value)))
		w.sendParts(1, 9, value)
	}()
	read(9, long, false)
	<-taken
	w.send(15, nil)
	w.send(18, []byte("the end"))
	err := c.ReadHeader(&rpc.Response{})
	<-left
	if err == nil || !strings.Contains(err.Error(), "the end") {
		t.Errorf("the session ended with %v", err)
	}
}
