// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// TestReplayThatIsTooLong has what one endpoint has accepted be more than another one takes:
// nothing is sent to that, which says nothing of it, and the call says why it went nowhere.
func TestReplayThatIsTooLong(t *testing.T) {
	for name, c := range map[string]struct {
		protocol plugin.Protocol
		change   func(*plugin.ClientConfig)
	}{
		"netrpc":         {plugin.ProtocolNetRPC, func(*plugin.ClientConfig) {}},
		"grpc":           {plugin.ProtocolGRPC, func(*plugin.ClientConfig) {}},
		"grpc by HTTP/2": {plugin.ProtocolGRPC, byHTTP2},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPod(t, "0", plugin.PluginSet{"memory": memoryGlue{new(memory)}}, c.protocol == plugin.ProtocolGRPC)
			state := NewState()
			defer state.Close()
			config := Config{State: state, Methods: methodOptions{"Init": {Replay: true}, "Look": {Idempotent: true}}}
			config.Router = attach(t, p, c.protocol, c.change)
			long := strings.Repeat("x", 2<<20)
			if _, err := (*memories)(nil).caller(t, c.protocol, config)(t.Context(), "Init", long); err != nil {
				t.Fatal(err)
			}
			narrow := attach(t, p, c.protocol, func(config *plugin.ClientConfig) {
				c.change(config)
				config.MaxMessageBytes = 1 << 20
			})
			config.Router = narrow
			_, err := (*memories)(nil).caller(t, c.protocol, config)(t.Context(), "Look", "")
			f, ok := Cause(err)
			replay, replayed := errors.AsType[*ReplayError](err)
			if !ok || f.Reason != ReasonUnavailable || f.MayHaveRun || !replayed || replay.Method != "Init" {
				t.Fatalf("the call ended with %v", err)
			}
			if !strings.HasPrefix(replay.Error(), "the replay of Init to pod failed: ") {
				t.Errorf("it says %q", replay)
			}
			for range 2 { // The second time it is picked because there is no other.
				if got := <-narrow.ends; got != balancer.NotSent {
					t.Errorf("the lease ends as %v", got)
				}
			}
		})
	}
}

// TestReplayThatIsNotRun has a plugin refuse over net/rpc what is replayed to it, before it runs
// that and with room later: the endpoint has had nothing.
func TestReplayThatIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, unfit := newHandChannel(), newHandChannel()
		full.refuse, unfit.refuse, unfit.lasting = true, true, true
		for name, s := range map[string]*handSession{
			"busy":   full.session("b"),
			"unfit":  unfit.session("b"),
			"closed": {name: "b", ended: make(chan struct{}), open: func() (net.Conn, error) { return nil, rpc.ServerError("closed") }},
		} {
			router := newHandRouter(echoing("a"))
			client := handStub(t, router, func(c *Config) {
				c.State, c.Methods = NewState(), methodOptions{"Init": {Replay: true}, "Quick": {Timeout: 2 * time.Second}}
			})
			if r := <-goCall(client, "Init", "x"); r.err != nil {
				t.Fatal(r.err)
			}
			router.set(s)
			if r := <-goCall(client, "Quick", "y"); !strings.Contains(fmt.Sprint(r.err), "the replay of Init was refused by b: ") {
				t.Errorf("%s: the call ended with %v", name, r.err)
			}
			_, outcomes, open := router.seen()
			if slices.ContainsFunc(outcomes[1:], func(o string) bool { return o != "b: not-sent" }) || open != 0 {
				t.Errorf("%s: the outcomes are %v", name, outcomes)
			}
			_ = client.Close()
		}
	})
}
