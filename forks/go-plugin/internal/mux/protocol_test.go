// SPDX-License-Identifier: MPL-2.0

package mux_test

import (
	"errors"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/testkit/wirepeer"
)

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
	go func() { defer close(served); _ = serve(p) }()
	defer func() { _ = here.Close(); <-served }()
	if id, err := p.Register(server); id != 1 || err != nil {
		t.Fatalf("the first channel is %d, %v", id, err)
	}
	w := wirepeer.Begin(here, true)
	defer w.Close()
	for number, text := range map[uint64]string{5: "a", 9: long} {
		var got string
		if err := w.Call(1, number, "Plugin.Echo", text, &got); got != text || err != nil {
			t.Errorf("%d bytes came back for %d, %v", len(got), len(text), err)
		}
	}
	failed := func(want string) func(c *wirepeer.Call, err error) {
		return func(c *wirepeer.Call, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Failed(); got != want || err != nil {
				t.Errorf("call %d has come to %q, %v, want %q", c.Number, got, err, want)
			}
		}
	}
	failed("no")(w.Go(1, 6, "Plugin.Fail", "no"))
	if err := w.Open(2, "none"); err != nil {
		t.Fatal(err)
	}
	failed("refused (2): no none")(w.Go(2, 1, "Plugin.Echo", "a"))
	failed("refused (3): the host has given the call up")(w.GoWithdrawn(1, 10, "Plugin.Echo", "a"))
	const request, later = 1, 61
	if err := errors.Join(w.Raw(later, []byte("of a later version")), w.Probe(), w.Told("alive"), w.Raw(request, nil, 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Err(); !strings.HasPrefix(err.Error(), "bye: malformed") {
		t.Errorf("the session ends with %v", err)
	}
}

// TestProtocolAsPlugin talks to a Host by the document alone.
func TestProtocolAsPlugin(t *testing.T) {
	here, there := tcp(t)
	left := make(chan struct{})
	h := mux.NewHost(here, mux.HostConfig{Draining: func() { close(left) }})
	defer h.Close()
	c := h.Channel(1)
	w := wirepeer.Begin(there, false)
	defer w.Close()
	number := uint64(4)
	call := func(args, want string, refused bool, answer func(*wirepeer.Call) error) {
		t.Helper()
		number++
		if _, err := c.Send(mux.Request{Method: "Plugin.Echo", Number: number, Timeout: 1_000_000}, args); err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() { // The host reads grants while it waits for the answer.
			r, err := w.Request()
			var got string
			if err == nil {
				err = r.Decode(&got)
			}
			if err == nil && (got != args || r.Method != "Plugin.Echo" || r.Number != number || r.Timeout != 1000 || len(r.Metadata) > 0) {
				t.Errorf("the request is %+v", r)
			}
			if err == nil {
				err = answer(r)
			}
			answered <- err
		}()
		var r rpc.Response
		var got string
		if err := c.ReadHeader(&r); err != nil || r.Seq != number {
			t.Fatalf("got %+v, %v", r, err)
		}
		err := c.ReadReply(reflect.ValueOf(&got))
		if got+r.Error != want || mux.HasNoReply(err) != refused || err != nil && !refused {
			t.Errorf("call %d: %d bytes and %q, %v", number, len(got), r.Error, err)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	call("a", "b", false, func(r *wirepeer.Call) error { return r.Reply("b") })
	call("a", "no", false, func(r *wirepeer.Call) error { return r.Fail("no") })
	call("a", "busy", true, func(r *wirepeer.Call) error { return r.Refuse(1, "busy") })
	call(long, long, false, func(r *wirepeer.Call) error { return r.Reply(long) })
	if err := errors.Join(w.Drain(), w.Bye("the end")); err != nil {
		t.Fatal(err)
	}
	err := c.ReadHeader(&rpc.Response{})
	<-left
	if err == nil || !strings.Contains(err.Error(), "the end") {
		t.Errorf("the session ended with %v", err)
	}
}
