// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"errors"
	"net/rpc"
	"sync"
	"testing"
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
