// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// fill has a message expected that there is no other room beside.
func fill(t *testing.T, p *Plugin, key callKey) {
	t.Helper()
	if _, err := p.come.begin(&message{channel: key.channel, number: key.number, size: uint64(p.come.budget)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.come.drop(key) }) // No call waits for it.
}

// Room is made for a long message, or it is given up, while a part of it that nobody has
// granted is being read: no byte of that part is counted for ever.
func TestAdmittedMidPart(t *testing.T) {
	for name, meanwhile := range map[string]func(p *Plugin, other, this callKey){
		"room is made":   func(p *Plugin, other, _ callKey) { p.come.drop(other) },
		"it is given up": func(p *Plugin, _, this callKey) { p.come.drop(this) },
	} {
		t.Run(name, func(t *testing.T) {
			here, there := tcpPair(t)
			raw, p := rawHost(t, here, there, PluginConfig{}, newThing())
			other, this := callKey{1, 1}, callKey{1, 2}
			fill(t, p, other)
			request := raw.request(this.channel, this.number, "Plugin.Upper", strings.Repeat("a", maxShort+1))
			half := len(request) - 1000
			raw.write(request[:half])
			testkit.Eventually(t, "a part is being read", func() bool {
				p.come.mu.Lock()
				defer p.come.mu.Unlock()
				return p.come.messages[this] != nil && p.come.messages[this].filling
			})
			meanwhile(p, other, this)
			raw.write(request[half:])
			raw.write(rawMessage(kindProbe, ""))
			for raw.next().kind != kindAlive { // by which all before is read
			}
			p.come.drop(other)
			testkit.Eventually(t, "nothing is held", func() bool { return p.come.holds() == 0 })
		})
	}
}

// A message may come as a whole before there is room for it. Once it is taken in, its sender
// is told that it counts no more: what was sent without a grant would else get less for good.
func TestWholeBeforeRoom(t *testing.T) {
	here, there := tcpPair(t)
	raw, p := rawHost(t, here, there, PluginConfig{}, newThing())
	fill(t, p, callKey{1, 1})
	if first := raw.next(); first.kind != kindGrant || first.number != 1 {
		t.Fatalf("the first message is a %d of call %d", first.kind, first.number)
	}
	raw.write(raw.request(1, 2, "Plugin.Upper", strings.Repeat("a", maxShort+1)))
	if m := raw.next(); m.kind != kindGrant || m.number != 2 || m.size != 0 {
		t.Errorf("a message of kind %d, call %d, grants %d", m.kind, m.number, m.size)
	}
	if m := raw.next(); m.kind != kindAnswer || m.number != 2 {
		t.Errorf("a message of kind %d, call %d", m.kind, m.number)
	}
}
