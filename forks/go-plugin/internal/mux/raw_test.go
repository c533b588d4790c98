// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"net/rpc"
	"testing"
)

// rawPeer is one end of a session that is not of this package: it sends what a
// test wants, and answers nothing by itself.
type rawPeer struct {
	t    testing.TB
	conn net.Conn
	in   inbox
	values
}

func newRawPeer(t testing.TB, conn net.Conn) *rawPeer {
	r := &rawPeer{t: t, conn: conn, in: newInbox(conn, nil)}
	return r
}

// message makes a message of a kind, its numbers and a text.
func rawMessage(k kind, text string, numbers ...uint64) []byte {
	b := newMessage(k, numbers...)
	b.text(text)
	if err := b.seal(); err != nil {
		panic(err)
	}
	return b.data
}

// request makes a request. Those of one peer belong to one gob stream.
func (r *rawPeer) request(channel, number uint64, method string, args any) []byte {
	r.t.Helper()
	b := newMessage(kindRequest, channel, number)
	b.call(method, 0)
	b, long, err := r.values.add(b, args, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if long != nil {
		return append(b.data, r.parts(long, callKey{channel, number})...)
	}
	return b.data
}

func (r *rawPeer) write(data []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(data); err != nil {
		r.t.Fatal(err)
	}
}

// next reads a message, and drops its value.
func (r *rawPeer) next() message {
	r.t.Helper()
	var m message
	if err := r.in.next(&m); err != nil {
		r.t.Fatal(err)
	}
	if err := r.in.skip(); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// rawHost is a session's plugin that serves v on channel 1, and the connection
// to it.
func rawHost(t testing.TB, here, there net.Conn, config PluginConfig, v any) (*rawPeer, *Plugin) {
	t.Helper()
	server := rpc.NewServer()
	if err := server.RegisterName("Plugin", v); err != nil {
		t.Fatal(err)
	}
	if config.Control == nil {
		config.Control = rpc.NewServer()
	}
	p := NewPlugin(there, config)
	p.services[1] = newService(p, 1, server)
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(p) }()
	t.Cleanup(func() {
		_ = here.Close()
		<-served
	})
	return newRawPeer(t, here), p
}

// parts gives all parts of a long message, whatever was granted.
func (r *rawPeer) parts(long *sending, key callKey) []byte {
	long.of, long.key, long.allowed = &sendings{}, key, long.left()
	b := newBuffer()
	long.part(b, long.left())
	return b.data
}
