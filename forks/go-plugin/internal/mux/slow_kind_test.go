// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net/rpc"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// slowKind is the config of a plugin that makes v for its kind "slow" once made is called, and
// has no other kind.
func slowKind(v any) (config PluginConfig, made func()) {
	may := make(chan struct{})
	return PluginConfig{Open: func(kind string) (Handler, error) {
		if kind != "slow" {
			return nil, errors.New("no implementation today")
		}
		<-may
		server := rpc.NewServer()
		return server, server.RegisterName("Plugin", v)
	}}, sync.OnceFunc(func() { close(may) })
}

// newSlowPair is a session with such a plugin, which makes its kind at the latest when the
// test ends.
func newSlowPair(t testing.TB, v any, change func(*PluginConfig)) (p *pair, made func()) {
	t.Helper()
	config, made := slowKind(v)
	if change != nil {
		change(&config)
	}
	here, there := tcpPair(t)
	p = newPair(t, here, there, HostConfig{}, config)
	t.Cleanup(made) // before the session's end, which waits for it
	return p, made
}

// TestKindsBeingMadeAreBounded has a host open channels of a slow kind and release them at
// once, each of which keeps a goroutine of the plugin busy: that ends the session.
func TestKindsBeingMadeAreBounded(t *testing.T) {
	p, _ := newSlowPair(t, newThing(), nil)
	for range maxChannels + 1 {
		c, err := p.host.Open("slow")
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	p.host.out.flush()
	<-p.plugin.done
	if err := p.plugin.Err(); !errors.Is(err, errBeyond) {
		t.Errorf("the session ended with %v", err)
	}
}

// TestQueuedRequestsCountAsAWhole has requests wait for their kind that consist of metadata and
// the name of a method: what is kept of them counts towards the bound, and no more once it is not.
func TestQueuedRequestsCountAsAWhole(t *testing.T) {
	for name, end := range map[string]func(raw *rawPeer, made func()){
		"made":     func(_ *rawPeer, made func()) { made() },
		"released": func(raw *rawPeer, _ func()) { raw.write(rawMessage(kindRelease, "", 2)) },
	} {
		t.Run(name, func(t *testing.T) {
			config, made := slowKind(newThing())
			here, there := tcpPair(t)
			raw, p := rawHost(t, here, there, config, newThing())
			t.Cleanup(made)
			raw.write(rawMessage(kindOpen, "slow", 2))
			const many, method = 10, "Plugin.Upper"
			value := strings.Repeat("v", 10<<10)
			for n := range uint64(many) {
				b := newMessage(kindRequest, 2, n)
				b.call(method, 0, "key", value)
				b, _, err := raw.values.add(b, "a", 0)
				if err != nil {
					t.Fatal(err)
				}
				raw.write(b.data)
			}
			raw.write(rawMessage(kindProbe, ""))
			for raw.next().kind != kindAlive { // by which all before is read
			}
			queued := func() int {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.queued
			}
			if got, least := queued(), many*(len(value)+len(method)+frameCost); got < least || got > least+many*100 {
				t.Errorf("%d bytes are kept, want %d", got, least)
			}
			end(raw, made)
			testkit.Eventually(t, "nothing is kept", func() bool { return queued() == 0 })
		})
	}
}
