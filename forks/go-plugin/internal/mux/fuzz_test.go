// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// fixedConn is a connection on which what is to be read is known, and which
// takes everything.
type fixedConn struct {
	net.Conn // nil: nothing else is called
	data     []byte
}

func (c *fixedConn) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

func (c *fixedConn) Write(p []byte) (int, error)     { return len(p), nil }
func (c *fixedConn) LocalAddr() net.Addr             { return nil }
func (c *fixedConn) RemoteAddr() net.Addr            { return nil }
func (c *fixedConn) SetReadDeadline(time.Time) error { return nil }
func (c *fixedConn) Close() error                    { return nil }

// fuzzSeeds adds what a peer can send, cut at every message.
func fuzzSeeds(f *testing.F) {
	raw := newRawPeer(f, nil)
	var all []byte
	for _, m := range [][]byte{
		raw.request(1, 0, "Plugin.Upper", "a"), raw.request(1, 1, "Plugin.Fail", "b"), raw.request(1, 2, "Plugin.Upper", 7),
		raw.request(0, 3, "Control.Upper", "a"), rawMessage(kindRelease, "", 1),
		rawMessage(kindStream, "\x01header", 1), rawMessage(kindStream, "\x01header", 2), rawMessage(kindData, "bytes", 1), rawMessage(kindData, "bytes", 2),
		rawMessage(kindCredit, "", 2, 100), rawMessage(kindEnd, "", 1), rawMessage(kindEnd, "", 2), rawMessage(kindReset, "why", 2),
		rawMessage(kindDraining, ""), rawMessage(kindStream, "\x02", 4), rawMessage(kindProbe, ""),
		rawMessage(kindAlive, ""), rawMessage(kindFailure, "no", 1, 0), rawMessage(kindOpen, "thing", 2), raw.request(2, 4, "Plugin.Upper", "a"),
	} {
		all = append(all, m...)
		f.Add(m)
		f.Add(all)
	}
	for _, test := range madeUp {
		f.Add(test.data)
	}
	long := append(rawMessage(kindRequest|flagMore, name("Plugin.Upper")+"\x06", 1, 9, 0, 0), rawMessage(kindPart|flagMore, "abc", 1, 9)...)
	f.Add(append(long, rawMessage(kindPart, "def", 1, 9)...))
	f.Add(append(long, rawMessage(kindCancel, "", 1, 9)...))
	f.Add(append(rawMessage(kindAnswer|flagMore, "\x06", 1, 0), rawMessage(kindPart, "\x05\x0c\x00\x02ab", 1, 0)...))
	f.Add(append(rawMessage(kindGrant, "", 1, 0, 1<<40), rawMessage(kindBye, "so long")...))
	f.Add(rawMessage(kindWithdrawn, name("Plugin.Upper"), 1, 9, 5, 0))
	f.Add(rawMessage(kindAccepts, "", 7))
	replies := &values{}
	reply, _, err := replies.add(newMessage(kindAnswer, 1, 0), "A", 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply.data)
}

// fuzzTime is more than a session takes that has nothing to wait for, on a
// machine that is busy.
const fuzzTime = 30 * time.Second

// FuzzPlugin is a host that sends anything.
func FuzzPlugin(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		server := rpc.NewServer()
		if err := errors.Join(server.RegisterName("Plugin", quickThing{}), server.RegisterName("Control", quickThing{})); err != nil {
			t.Fatal(err)
		}
		print := newPrinter()
		conn := &fixedConn{data: data}
		open := func(string) (Handler, error) { return server, nil }
		p := NewPlugin(conn, PluginConfig{Control: server, Subscribe: print.subscribe, Open: open, Accept: echoing})
		p.services[1] = newService(p, 1, server)
		before := allocated()
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = serve(p)
		}()
		select {
		case <-served:
		case <-time.After(fuzzTime):
			t.Fatal("the session does not end with its connection")
		}
		checkMemory(t, before, len(data))
	})
}

// echoing sends back what comes.
var echoing = Acceptors{Brokered: func(s *Stream) error {
	go func() {
		_ = s.Accept()
		_, _ = io.Copy(s, s)
		_ = s.Close()
	}()
	return nil
}}

// quickThing is a thing that does no more than it is told.
type quickThing struct{}

func (quickThing) Upper(in string, out *string) error { *out = in; return nil }
func (quickThing) Fail(in string, _ *struct{}) error  { return errors.New(in) }

// FuzzHost is a plugin that sends anything.
func FuzzHost(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		h := NewHost(&fixedConn{data: data}, HostConfig{Draining: func() {}, Accept: echoing})
		defer h.Close()
		calls := make(chan *rpc.Call, 4)
		for id := range uint64(2) {
			client := rpc.NewClientWithCodec(clientCodec{h.Channel(id)})
			for range cap(calls) / 2 {
				client.Go("Plugin.Upper", "a", new(string), calls)
			}
		}
		go h.ReceiveOutput(func(stdio.Chunk) {})()
		timeout := time.After(fuzzTime)
		for range cap(calls) {
			select {
			case <-calls:
			case <-timeout:
				t.Fatal("a call does not end with its connection")
			}
		}
		checkMemory(t, before, len(data))
	})
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// checkMemory checks that a peer cannot make this one allocate with a word.
func checkMemory(t *testing.T, before uint64, size int) {
	t.Helper()
	if used := allocated() - before; used > 64<<20+1000*uint64(size) {
		t.Errorf("%d bytes were allocated for %d that came", used, size)
	}
}
