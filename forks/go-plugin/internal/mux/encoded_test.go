// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"net/rpc"
	"reflect"
	"testing"
)

// SlowBytes are encoded when the gate opens.
type SlowBytes struct {
	data []byte
	gate chan struct{}
}

// GobEncode implements gob.GobEncoder.
func (s *SlowBytes) GobEncode() ([]byte, error) {
	<-s.gate
	if s.data == nil {
		return nil, errors.New("there is nothing")
	}
	return s.data, nil
}

// GobDecode implements gob.GobDecoder.
func (s *SlowBytes) GobDecode(data []byte) error {
	s.data = bytes.Clone(data)
	return nil
}

type slowEcho struct{}

// Length serves Plugin.Length.
func (slowEcho) Length(in *SlowBytes, n *int) error {
	*n = len(in.data)
	return nil
}

// Short serves Plugin.Short.
func (slowEcho) Short(in int, n *int) error {
	*n = in
	return nil
}

// Arguments that are encoded ahead hold up no other request, are sent once, and say why they
// cannot be.
func TestEncodeAhead(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	c := p.serve(slowEcho{})
	defer c.Close()
	number := uint64(0)
	call := func(method string, args any) int {
		t.Helper()
		number++
		if _, err := c.Send(Request{Method: "Plugin." + method, Number: number}, args); err != nil {
			t.Fatal(err)
		}
		var header rpc.Response
		if err := c.ReadHeader(&header); err != nil || header.Error != "" || header.Seq != number {
			t.Fatal(err, header)
		}
		n := 0
		if err := c.ReadReply(reflect.ValueOf(&n)); err != nil {
			t.Fatal(err)
		}
		return n
	}
	open := make(chan struct{})
	close(open)
	if c.EncodeAhead("Plugin.Length", &SlowBytes{}) != nil {
		t.Error("a method that was never called is expected to have long arguments")
	}
	const size = 300_000
	if n := call("Length", &SlowBytes{make([]byte, size), open}); n != size {
		t.Errorf("%d bytes have come", n)
	}
	encode := c.EncodeAhead("Plugin.Length", &SlowBytes{})
	if encode == nil || c.EncodeAhead("Plugin.Short", 1) != nil {
		t.Fatal("other arguments are expected to be long")
	}
	gate, ahead := make(chan struct{}), make(chan any)
	go func() { ahead <- encode(&SlowBytes{make([]byte, size+1), gate}) }()
	for i := range 3 {
		if n := call("Short", i); n != i {
			t.Errorf("%d came back", n)
		}
	}
	close(gate)
	args := <-ahead
	if n := call("Length", args); n != size+1 {
		t.Errorf("%d bytes have come", n)
	}
	var unfit *EncodeError
	if _, err := c.Send(Request{Method: "Plugin.Length", Number: 100}, args); !errors.As(err, &unfit) {
		t.Errorf("sent twice: %v", err)
	}
	if _, err := c.Send(Request{Method: "Plugin.Length", Number: 101}, encode(&SlowBytes{nil, open})); !errors.As(err, &unfit) {
		t.Errorf("not encoded: %v", err)
	}
	p.checkNothingLeft()
}
