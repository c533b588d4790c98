// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"net/rpc"
	"testing"
)

// slowEncoder is a channel that takes arguments of Put for long, and has encoded them when
// the gate opens.
type slowEncoder struct {
	*instant
	began, gate chan struct{}
}

func (c slowEncoder) EncodeAhead(method string, _ any) func(any) any {
	if method != "Plugin.Put" {
		return nil
	}
	return func(args any) any {
		close(c.began)
		<-c.gate
		return args
	}
}

// TestCallsBesideLongArguments makes calls while others are encoded.
func TestCallsBesideLongArguments(t *testing.T) {
	channel := slowEncoder{newInstant(), make(chan struct{}), make(chan struct{})}
	stub := mustRPC(t, "kind", Config{Router: &oneSession{channel}})
	defer stub.Client.Close()
	var reply string
	call := func(method string) error { return stub.Client.Call("Plugin."+method, "x", &reply) }
	if err := call("Get"); err != nil { // opens the channel
		t.Fatal(err)
	}
	long := stub.Client.Go("Plugin.Put", "long", new(string), make(chan *rpc.Call, 1))
	<-channel.began
	for range 3 {
		if err := call("Get"); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-long.Done:
		t.Errorf("a call is answered that was not sent: %v", long.Error)
	default:
	}
	close(channel.gate)
	if <-long.Done; long.Error != nil {
		t.Error(long.Error)
	}
}
