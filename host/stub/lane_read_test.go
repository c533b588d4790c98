// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"net/rpc"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"
)

// oneAnswer is a channel on which one answer comes, whose reply takes until it
// is released.
type oneAnswer struct {
	sent    chan uint64
	release chan struct{}
	closed  chan struct{}
	reading atomic.Bool // the reply
	overlap atomic.Bool // something else was read meanwhile
}

func (c *oneAnswer) Send(_ string, number uint64, _ any) (uint64, error) {
	c.sent <- number
	return 1, nil
}

func (c *oneAnswer) Taken() uint64               { return 1 }
func (c *oneAnswer) Await(context.Context) error { return nil }

func (c *oneAnswer) ReadHeader(r *rpc.Response) error {
	if c.reading.Load() {
		c.overlap.Store(true)
	}
	select {
	case r.Seq = <-c.sent:
		return nil
	case <-c.closed:
		return plugin.ErrConnectionLost
	}
}

func (c *oneAnswer) ReadReply(reflect.Value) error {
	c.reading.Store(true)
	defer c.reading.Store(false)
	<-c.release
	return nil
}

func (c *oneAnswer) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// oneSession is a Router, and all that it picks.
type oneSession struct{ channel plugin.RPCChannel }

func (s *oneSession) OpenRPC(string) (plugin.RPCChannel, error) { return s.channel, nil }

func (s *oneSession) Pick(context.Context, string, []string) (Lease, error) { return s, nil }

func (s *oneSession) Endpoint() string       { return "a" }
func (s *oneSession) Session() any           { return s }
func (s *oneSession) Ended() <-chan struct{} { return nil }
func (s *oneSession) Done(Outcome)           {}

// A client that decodes a reply itself has the channel to itself, also when the
// stub is closed.
func TestHandOverAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &oneAnswer{sent: make(chan uint64, 1), release: make(chan struct{}), closed: make(chan struct{})}
		codec := newRPCCodec("kind", Config{Router: &oneSession{c}})
		client := rpc.NewClientWithCodec(codec)
		call := goCall(client, "Get", "x")
		synctest.Wait() // The client is decoding.
		if !c.reading.Load() {
			t.Fatal("nobody decodes the reply")
		}
		_ = client.Close()
		synctest.Wait()
		if c.overlap.Load() {
			t.Error("the lane reads while the client does")
		}
		close(c.release)
		<-call
	})
}

// slowBody is a channel on which every request is answered at once, with a body
// that does not come before the gate is open.
type slowBody struct {
	*instant
	gate chan struct{}
}

func (c slowBody) ReadReply(reflect.Value) error {
	<-c.gate
	return nil
}

// TestReplyIsTheCallersAfterTimeout has an answer whose header comes in time and
// whose body does not. The race detector tells whether the lane looks at what the
// caller may use again.
func TestReplyIsTheCallersAfterTimeout(t *testing.T) {
	channel := slowBody{newInstant(), make(chan struct{})}
	stub := NewRPC("kind", Config{Router: &oneSession{channel}, Methods: methodOptions{"Get": {Timeout: 10 * time.Millisecond}}})
	defer stub.Client.Close()
	var reply string
	call := stub.Client.Go("Plugin.Get", "x", &reply, make(chan *rpc.Call, 1))
	<-call.Done
	call.Reply, reply = nil, "mine"
	close(channel.gate)
	if call.Error == nil || reply != "mine" {
		t.Errorf("the call ended with %v and %q", call.Error, reply)
	}
}
