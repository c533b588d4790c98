// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

var brokerCases = map[string]pairOptions{
	"listeners":            {brokers: brokerListeners},
	"listeners, AutoMTLS":  {brokers: brokerListeners, mutual: true},
	"multiplexed":          {brokers: brokerMux},
	"multiplexed AutoMTLS": {brokers: brokerMux, mutual: true},
	"tunnel":               {brokers: brokerTunnel},
	"tunnel inside TLS":    {brokers: brokerTunnel, mutual: true},
}

func TestBrokerBothWays(t *testing.T) {
	for name, options := range brokerCases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, options)
			for i := range 5 {
				text := fmt.Sprint("host ", i)
				if got, err := p.stub.callback(t.Context(), "Via", text); got != text || err != nil {
					t.Errorf("the plugin's callback reached %q, %v, want %q", got, err, text)
				}
				if got, err := p.stub.opened(t.Context(), fmt.Sprint(i)); got != fmt.Sprint("plugin", i) || err != nil {
					t.Errorf("the host's call reached %q, %v, want plugin%d", got, err, i)
				}
			}
		})
	}
}

// Each of 20 callbacks must reach its own id, and none another session's.
func TestBrokerManyAtOnce(t *testing.T) {
	for _, name := range []string{"listeners", "tunnel"} {
		t.Run(name, func(t *testing.T) {
			var calls sync.WaitGroup
			for session := range 3 {
				p := newGRPCPair(t, brokerCases[name])
				for i := range 20 {
					calls.Go(func() {
						text := fmt.Sprintf("host %d of session %d", i, session)
						if got, err := p.stub.callback(t.Context(), "Via", text); got != text || err != nil {
							t.Errorf("callback reached %q, %v, want %q", got, err, text)
						}
						want := fmt.Sprint("plugin", i, session)
						if got, err := p.stub.opened(t.Context(), fmt.Sprint(i, session)); got != want || err != nil {
							t.Errorf("call reached %q, %v, want %q", got, err, want)
						}
					})
				}
			}
			calls.Wait()
		})
	}
}

func TestBrokerMultiplexedAtOnce(t *testing.T) {
	p := newGRPCPair(t, brokerCases["multiplexed"])
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			text := fmt.Sprint("host ", i)
			if got, err := p.stub.callback(t.Context(), "Via", text); got != text || err != nil {
				t.Errorf("callback reached %q, %v, want %q", got, err, text)
			}
		})
	}
	calls.Wait()
}

func TestBrokerNobodyAccepts(t *testing.T) {
	const wait = time.Second
	p := newGRPCPair(t, pairOptions{brokers: brokerTunnel, wait: wait})
	start := time.Now()
	var dials sync.WaitGroup
	dials.Go(func() {
		_, err := p.stub.broker.Dial(4711)
		if err == nil || !strings.Contains(err.Error(), "nobody accepts broker id 4711") {
			t.Errorf("host's Dial = %v, want an error naming id 4711", err)
		}
	})
	dials.Go(func() {
		_, err := p.stub.call(t.Context(), "Via", "4712")
		if err == nil || !strings.Contains(err.Error(), "nobody accepts broker id 4712") {
			t.Errorf("plugin's Dial = %v, want an error naming id 4712", err)
		}
	})
	dials.Wait()
	if waited := time.Since(start); waited < wait {
		t.Errorf("gave up after %v, want %v at least", waited, wait)
	}
}

func TestBrokerNoAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := newBrokerCore(nil)
		b := newGRPCBroker(core, newListenerTransport(core, listen.Sockets{}, nil), nil)
		start := time.Now()
		_, err := b.Dial(815)
		if err == nil || !strings.Contains(err.Error(), "815") || !strings.Contains(err.Error(), "announce") {
			t.Errorf("Dial = %v, want an error naming id 815", err)
		}
		if waited := time.Since(start); waited != brokerWait {
			t.Errorf("gave up after %v, want %v", waited, brokerWait)
		}
	})
}

func TestBrokerCloseEndsWaiting(t *testing.T) {
	for name, options := range brokerCases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, options)
			failed := make(chan error, 1)
			go func() {
				conn, err := p.stub.broker.Dial(99)
				if err == nil { // a multiplexed connection fails later
					_, err = (&relay{conn: conn}).call(t.Context(), "Name", "")
					_ = conn.Close()
				}
				failed <- err
			}()
			lis, err := p.stub.broker.Accept(98)
			if err != nil {
				t.Fatal(err)
			}
			accepted := make(chan error, 1)
			go func() {
				_, err := lis.Accept()
				accepted <- err
			}()
			p.end()
			for what, ended := range map[string]chan error{"Dial": failed, "Accept": accepted} {
				select {
				case err := <-ended:
					if err == nil {
						t.Errorf("%s = nil error after Close", what)
					}
				case <-time.After(time.Minute):
					t.Errorf("%s still waits after Close", what)
				}
			}
			if _, err := p.stub.broker.Accept(97); !errors.Is(err, errBrokerClosed) {
				t.Errorf("Accept after Close = %v, want %v", err, errBrokerClosed)
			}
			if _, err := p.stub.broker.Dial(97); !errors.Is(err, errBrokerClosed) {
				t.Errorf("Dial after Close = %v, want %v", err, errBrokerClosed)
			}
		})
	}
}

// A plugin that serves more than one connection on an id, as long as its own
// listener is open.
func TestBrokerListenerTakesManyConnections(t *testing.T) {
	for _, name := range []string{"multiplexed", "tunnel"} {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, brokerCases[name])
			lis, err := p.stub.broker.Accept(5)
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			server.RegisterService(relayDesc(), newRelay("shared"))
			var serving sync.WaitGroup
			serving.Go(func() { _ = server.Serve(lis) })
			for range 3 {
				if got, err := p.stub.call(t.Context(), "Via", "5"); got != "shared" || err != nil {
					t.Errorf("callback reached %q, %v, want shared", got, err)
				}
			}
			server.Stop()
			serving.Wait()
		})
	}
}

// prefixTranslator is a runner whose plugin sees other paths than the host.
type prefixTranslator struct{ prefix string }

func (p prefixTranslator) PluginToHost(network, addr string) (string, string, error) {
	rest, ok := strings.CutPrefix(addr, p.prefix)
	if !ok {
		return "", "", fmt.Errorf("%s is not a plugin's path", addr)
	}
	return network, rest, nil
}

func (p prefixTranslator) HostToPlugin(network, addr string) (string, string, error) {
	return network, p.prefix + addr, nil
}

func TestBrokerTranslatesAddresses(t *testing.T) {
	translator := prefixTranslator{prefix: "/container"}
	core := newBrokerCore(nil)
	host := newGRPCBroker(core, newListenerTransport(core, listen.Sockets{}, translator), nil)
	defer host.Close()
	sent := &recordedLink{}
	defer core.link.attach(sent)()
	lis, err := host.Accept(1)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if got, want := sent.msgs[0].GetAddress(), "/container"+lis.Addr().String(); got != want {
		t.Errorf("announced %q, want %q", got, want)
	}
	// The plugin announces the very listener in its own words.
	host.transport.receive(&pluginpb.ConnInfo{ServiceId: 2, Network: "unix", Address: "/container" + lis.Addr().String()})
	dialer, err := host.transport.dialer(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()

	bad := map[string]struct {
		reason, network, address, want string
	}{
		"untranslatable": {"the runner's error is the user's clue", "unix", "/elsewhere", "not a plugin's path"},
		"odd network":    {"only what peers announce may be dialled", "udp", "/container/x", `"udp"`},
	}
	for name, tc := range bad {
		host.transport.receive(&pluginpb.ConnInfo{ServiceId: 3, Network: tc.network, Address: tc.address})
		if _, err := host.Dial(3); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s (%s): Dial = %v, want %q", name, tc.reason, err, tc.want)
		}
	}
}

// recordedLink is the other side of a broker's link.
type recordedLink struct{ msgs []*pluginpb.ConnInfo }

func (l *recordedLink) Send(msg *pluginpb.ConnInfo) error { l.msgs = append(l.msgs, msg); return nil }

func (l *recordedLink) Recv() (*pluginpb.ConnInfo, error) { return nil, net.ErrClosed }
