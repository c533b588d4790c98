// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// A session ends when its connection can be used no more, though nobody reads
// from it then.
func TestMuxSessionEndsWithItsMessages(t *testing.T) {
	for name, test := range map[string]struct {
		sent string
		says string
	}{
		"message without a kind":  {"\x00\x00\x00\x00", "malformed message"},
		"message that is cut off": {"\x00\x00\x00\x01\x02", "malformed message"},
		"data of no stream":       {"\x00\x00\x00\x03\x0b\x01x", "stream 1 was never opened"},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			session := muxHost(t, here, nil)
			go func() {
				_, _ = there.Write([]byte(test.sent))
				_, _ = there.Read(make([]byte, 1)) // until it is closed
				_ = there.Close()
			}()
			if err := lostSession(t, session); !errors.Is(err, plugin.ErrConnectionLost) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the session ended with %v, want ErrConnectionLost that says %q", err, test.says)
			}
		})
	}
}

// A method that does not return keeps no session of a host that has gone.
func TestMuxSessionLeavesItsCalls(t *testing.T) {
	p := serveEcho(t, func(o *plugin.ServeConfig) { o.Network.MaxSessions = 1 })
	session := p.attach(t)
	stub := dispenseEcho(t, session)
	done := make(chan error, 1)
	go func() {
		_, err := stub.Hold()
		done <- err
	}()
	<-p.impl.held
	_ = session.Close()
	if err := <-done; !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the call that was under way: %v", err)
	}
	testkit.Eventually(t, "another host is admitted", func() bool {
		next, err := plugin.Attach(t.Context(), p.clientConfig())
		if err != nil {
			return false
		}
		return next.Close() == nil
	})
	close(p.impl.gate)
}

// backPlugin asks its host for something before it serves.
type backPlugin struct {
	echoPlugin
	dial atomic.Bool // plugins are asked for their methods before there is a host
}

func (p *backPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	if p.dial.Load() {
		conn, err := b.Dial(1)
		if err != nil {
			return nil, err
		}
		_ = conn.Close()
	}
	return p.echoPlugin.Server(b)
}

// What serves a kind may need the session while it is made. Calls of the kind
// wait for it there already.
func TestMuxServerUsesSession(t *testing.T) {
	back := &backPlugin{echoPlugin: echoPlugin{newEchoImpl()}}
	p := serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"echo": back} })
	session := p.attach(t)
	back.dial.Store(true)
	stub := dispenseEcho(t, session).(*echoClient)
	called := make(chan error, 1)
	go func() {
		_, err := stub.Echo("a")
		called <- err
	}()
	conn, err := stub.broker.Accept(1)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := <-called; err != nil {
		t.Error(err)
	}
}
