// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"net/rpc"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
