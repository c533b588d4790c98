// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"net/rpc"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// Every call fails with the session, whoever ends it.
func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(p *pair, here, there net.Conn){
		"by the host":             func(p *pair, _, _ net.Conn) { _ = p.host.Close() },
		"by the plugin":           func(p *pair, _, _ net.Conn) { _ = p.plugin.Close() },
		"by the host's network":   func(_ *pair, here, _ net.Conn) { _ = here.Close() },
		"by the plugin's network": func(_ *pair, _, there net.Conn) { _ = there.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, here, there net.Conn) {
				var ended atomic.Int64
				p := newPair(t, here, there, HostConfig{Ended: func(err error) error { ended.Add(1); return err }}, PluginConfig{})
				var calls []*rpc.Call
				held := newThing()
				for range 3 {
					client := p.client(held)
					for range 3 {
						calls = append(calls, client.Go("Plugin.Hold", struct{}{}, nil, nil))
					}
				}
				for range calls {
					<-held.held
				}
				end(p, here, there)
				for _, call := range calls {
					if <-call.Done; call.Error == nil {
						t.Error("a call that was under way succeeds")
					}
				}
				<-p.host.Done()
				<-p.plugin.Done()
				close(held.gate)
				if err := p.host.Err(); err == nil {
					t.Error("the host's session ended for no reason")
				}
				_ = p.host.Close()
				testkit.Eventually(t, "the host was told", func() bool { return ended.Load() > 0 })
				if _, err := p.host.Channel(9).Send(Request{Method: "Plugin.Upper", Number: 1}, "a"); err == nil {
					t.Error("the host sends after the end")
				}
				if n := ended.Load(); n != 1 {
					t.Errorf("the host was told %d times", n)
				}
			})
		})
	}
}

// The notice comes once, however often it is given.
func TestDraining(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		drains := make(chan struct{}, 10)
		p := newPair(t, here, there, HostConfig{Draining: func() { drains <- struct{}{} }}, PluginConfig{})
		client := p.client(newThing())
		p.plugin.SayDraining()
		p.plugin.SayDraining()
		<-drains
		mustUpper(t, client)
		if len(drains) > 0 {
			t.Error("the host was told twice")
		}
		if err := p.plugin.AwaitSent(t.Context()); err != nil || p.plugin.HasUnsent() {
			t.Errorf("AwaitSent = %v, HasUnsent = %v", err, p.plugin.HasUnsent())
		}
	})
}
