// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"net/rpc"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// oneSession is a Router, and all that it picks.
type oneSession struct{ channel plugin.RPCChannel }

func (s *oneSession) OpenRPC(string) (plugin.RPCChannel, error) { return s.channel, nil }

func (s *oneSession) Pick(context.Context, string, []string) (balancer.Lease, error) { return s, nil }

func (s *oneSession) Endpoint() string       { return "a" }
func (s *oneSession) Session() any           { return s }
func (s *oneSession) Ended() <-chan struct{} { return nil }
func (s *oneSession) Done(balancer.Outcome)  {}

// slowBody is a channel on which every request is answered at once, with a body
// that does not come before the gate is open.
type slowBody struct {
	*instant
	gate chan struct{}
}

func (c slowBody) DetachReply() func(reflect.Value) error { return nil }

func (c slowBody) ReadReply(reflect.Value) error {
	<-c.gate
	return nil
}

// TestReplyIsTheCallersAfterTimeout has an answer whose header comes in time and
// whose body does not. The race detector tells whether the channel looks at what the
// caller may use again.
func TestReplyIsTheCallersAfterTimeout(t *testing.T) {
	channel := slowBody{newInstant(), make(chan struct{})}
	stub := mustRPC(t, "kind", Config{Router: &oneSession{channel}, Methods: methodOptions{"Get": {Timeout: 10 * time.Millisecond}}})
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
