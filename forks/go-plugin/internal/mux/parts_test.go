// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// Long and short values of all directions pass beside one another on few channels, and no
// budget is left behind.
func TestPartsBesideShort(t *testing.T) {
	sizes := []int{0, 1, maxShort - 20, maxShort - 1, maxShort, maxShort + 1, partSize, partSize + 1, 2 * partSize, maxUnasked, maxUnasked + 1, 3 << 20}
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, PluginConfig{})
		clients := []*rpc.Client{p.client(newThing()), p.client(newThing())}
		var calls []*rpc.Call
		for round := range 4 {
			for i, size := range sizes {
				in := bytes.Repeat([]byte{byte(i + round)}, size)
				calls = append(calls, clients[(i+round)%2].Go("Plugin.Echo", in, new([]byte), nil))
			}
			mustUpper(t, clients[round%2])
		}
		for _, call := range calls {
			if <-call.Done; call.Error != nil || !bytes.Equal(*call.Reply.(*[]byte), call.Args.([]byte)) {
				t.Errorf("%d bytes of %d came back, %v", len(*call.Reply.(*[]byte)), len(call.Args.([]byte)), call.Error)
			}
		}
		p.checkNothingLeft()
	})
}

// checkNothingLeft checks that neither side holds anything of calls, which have all ended.
func (p *pair) checkNothingLeft() {
	p.t.Helper()
	for name, s := range map[string]*session{"host": &p.host.session, "plugin": &p.plugin.session} {
		testkit.Eventually(p.t, "the "+name+" holds nothing of calls", func() bool { return s.holds() == "" })
	}
	testkit.Eventually(p.t, "no call is under way", func() bool {
		p.plugin.mu.Lock()
		defer p.plugin.mu.Unlock()
		return p.plugin.open == 0
	})
}

// holds says what a session holds of long messages.
func (s *session) holds() string {
	if n := s.come.holds(); n != 0 {
		return fmt.Sprintf("%d to come", n)
	}
	s.sent.mu.Lock()
	defer s.sent.mu.Unlock()
	if n := len(s.sent.messages) + s.sent.unasked + s.out.longAnswers(); n != 0 {
		return fmt.Sprintf("%d to send", n)
	}
	return ""
}

// holds counts what is kept of long messages that come.
func (s *arrivals) holds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages) + len(s.early) + len(s.queue) + len(s.wanting) + s.reserved + s.unasked + s.granted + s.plainRoom
}

// A long error of a method is told whole.
func TestLongFailure(t *testing.T) {
	here, there := tcpPair(t)
	p := newPair(t, here, there, HostConfig{}, PluginConfig{})
	client := p.client(newThing())
	for _, size := range []int{maxShort, maxShort + 1, 1 << 20} {
		text := strings.Repeat("e", size)
		if err := client.Call("Plugin.Fail", text, nil); err == nil || err.Error() != text {
			t.Errorf("an error of %d bytes came as %.100v", size, err)
		}
	}
	p.checkNothingLeft()
}

// What is too large for the other side is an error of its call alone, in either direction.
func TestTooLarge(t *testing.T) {
	const most = 1 << 20
	t.Run("request", func(t *testing.T) {
		here, there := tcpPair(t)
		p := newPair(t, here, there, HostConfig{}, PluginConfig{MaxReceive: most})
		client := p.client(newThing())
		err := client.Call("Plugin.Echo", make([]byte, most), new([]byte))
		if err == nil || !strings.Contains(err.Error(), "at most 1048576 are allowed") {
			t.Errorf("got %v", err)
		}
		mustUpper(t, client)
		p.checkNothingLeft()
	})
	t.Run("answer", func(t *testing.T) {
		here, there := tcpPair(t)
		p := newPair(t, here, there, HostConfig{MaxReceive: most}, PluginConfig{})
		client := p.client(newThing())
		err := client.Call("Plugin.Blank", most, new([]byte))
		if err == nil || !strings.Contains(err.Error(), "at most 1048576 are allowed") {
			t.Errorf("got %v", err)
		}
		mustUpper(t, client)
		p.checkNothingLeft()
	})
}

// More long messages than there is room for wait for one another, and all arrive.
func TestLongBudget(t *testing.T) {
	here, there := tcpPair(t)
	const most = 1 << 20
	p := newPair(t, here, there, HostConfig{MaxReceive: most}, PluginConfig{MaxReceive: most})
	p.host.come.budget, p.plugin.come.budget = 2*most, 2*most
	client := p.client(newThing())
	var calls []*rpc.Call
	for range 20 {
		calls = append(calls, client.Go("Plugin.Echo", make([]byte, most-100), new([]byte), nil))
	}
	for _, call := range calls {
		if <-call.Done; call.Error != nil || len(*call.Reply.(*[]byte)) != most-100 {
			t.Errorf("%d bytes came back, %v", len(*call.Reply.(*[]byte)), call.Error)
		}
	}
	p.checkNothingLeft()
}

// Calls beyond the bound are refused and not run; pings are answered all the same.
func TestTooManyCalls(t *testing.T) {
	here, there := tcpPair(t)
	control := rpc.NewServer()
	if err := control.RegisterName("Control", quickThing{}); err != nil {
		t.Fatal(err)
	}
	p := newPair(t, here, there, HostConfig{}, PluginConfig{Control: control, MaxCalls: 3})
	held := newThing()
	c := p.serve(held)
	answers := make(chan error, 10)
	go func() {
		defer close(answers)
		var r rpc.Response
		for c.ReadHeader(&r) == nil {
			answers <- c.ReadReply(reflectOf(nil))
		}
	}()
	for n := range uint64(4) {
		if _, err := c.Send(Request{Method: "Plugin.Hold", Number: n}, struct{}{}); err != nil {
			t.Fatal(err)
		}
		if n < 3 {
			<-held.held
		}
	}
	refused := (*RefusedError)(nil)
	if err := <-answers; !errors.As(err, &refused) || !refused.Busy || !strings.Contains(refused.Reason, "at most 3") {
		t.Errorf("the fourth call gave %v", err)
	}
	pings := rpc.NewClientWithCodec(clientCodec{p.host.Channel(0)})
	defer pings.Close()
	if err := pings.Call("Control.Upper", "a", new(string)); err != nil {
		t.Errorf("ping: %v", err)
	}
	close(held.gate)
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if len(held.held) > 0 {
		t.Error("the refused call was run")
	}
	p.checkNothingLeft()
	_ = c.Close()
	for range answers {
	}
}

// A peer is told why its session ends.
func TestBye(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		p := newPair(t, here, there, HostConfig{}, openThings(map[string]func() (any, error){"thing": func() (any, error) { return newThing(), nil }}))
		reads := readOn(p.host.Channel(0))
		p.host.mu.Lock()
		p.host.opened = 1 // The next one is not there to be opened.
		p.host.mu.Unlock()
		for range 2 {
			b := newMessage(kindOpen, 2)
			b.text("thing")
			if err := p.host.send(b); err != nil {
				t.Fatal(err)
			}
		}
		<-reads
		if err := p.host.Err(); err == nil || !strings.Contains(err.Error(), "the plugin has ended the session: malformed message: channel 2 cannot be opened") {
			t.Errorf("the session ended with %v", err)
		}
	})
}
