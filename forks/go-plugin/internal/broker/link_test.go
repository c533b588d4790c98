// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// script is a link on which the other side sends what next gives until that is nil, and
// then what ended brings.
type script struct {
	next  func() message
	ended chan error // nil: io.EOF
	sent  chan message
}

func (s *script) Send(msg message) error {
	if s.sent != nil {
		s.sent <- msg
	}
	return nil
}

func (s *script) Recv() (message, error) {
	if s.next != nil {
		if msg := s.next(); msg != nil {
			return msg, nil
		}
	}
	if s.ended != nil {
		return nil, <-s.ended
	}
	return nil, io.EOF
}

// attached serves a link that stays until detach is called.
func attached(b *Broker) (sent <-chan message, detach func()) {
	s := &script{ended: make(chan error), sent: make(chan message, 10)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.ServeLink(s)
	}()
	return s.sent, func() {
		s.ended <- io.EOF
		<-ended
	}
}

// What a side says must wait for the other one, and go to the one that is there.
func TestLinkWaitsForAHost(t *testing.T) {
	b := New(testConfig(Listeners(ListenerConfig{})))
	defer b.Close()
	msg := &pluginpb.ConnInfo{ServiceId: 1}
	reason := errors.New("waited long enough")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if err := b.link.send(ended, msg); !errors.Is(err, reason) {
		t.Errorf("send without a host = %v, want the cause of its context", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- b.link.send(t.Context(), msg) }()
	first, detachFirst := attached(b)
	if err := <-waits; err != nil || <-first != msg {
		t.Errorf("send = %v", err)
	}
	second, detachSecond := attached(b)
	for done := false; !done; { // until the second is the one
		if err := b.link.send(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		select {
		case <-first:
		case <-second:
			done = true
		}
	}
	detachFirst() // must not detach the second
	if err := b.link.send(t.Context(), msg); err != nil || <-second != msg {
		t.Errorf("send = %v, want that the newer host got it", err)
	}
	detachSecond()
	if err := b.link.send(ended, msg); err == nil {
		t.Error("send after the last host has left = nil error")
	}
}

// A gRPC server that was not made for go-plugin has no broker, which the host is told only
// when it wants one: nothing was lost.
func TestNoBroker(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	defer serving.Wait()
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lost := make(chan error, 10)
	cfg := testConfig(Listeners(ListenerConfig{}))
	cfg.Host = &Host{Conn: conn, Done: t.Context(), Lost: func(err error) { lost <- err }}
	b := New(cfg)
	defer b.Close()
	<-b.Done()
	b.work.Wait() // runLink has returned
	if _, err = b.Dial(1, nil); err == nil || !strings.Contains(err.Error(), "the plugin has no broker") {
		t.Errorf("Dial = %v", err)
	}
	if len(lost) > 0 {
		t.Errorf("the host was told %v", <-lost)
	}
}

// A broker that ends matters to a host once it wants to broker, and then at once.
func TestLost(t *testing.T) {
	host, _ := pair(t, Listeners(ListenerConfig{}), time.Minute)
	lost := make(chan error, 10)
	host.cfg.Host.Lost = func(err error) { lost <- err }
	why := errors.New("gone")
	host.lose(why)
	if len(lost) > 0 {
		t.Errorf("the host was told %v before it wanted to broker", <-lost)
	}
	if _, err := host.Dial(1, nil); !errors.Is(err, why) {
		t.Errorf("Dial = %v", err)
	}
	if told := <-lost; !errors.Is(told, why) {
		t.Errorf("the host was told %v", told)
	}
}

// Messages that do not belong to the way of brokering must not disturb it.
func TestForeignMessages(t *testing.T) {
	host, plugin := pairs["listeners"](t, time.Minute)
	for _, b := range []*Broker{host, plugin} {
		for _, msg := range []message{
			{ServiceId: 1000, Network: "tcp", Address: "127.0.0.1:1"},
			knockMessage(1000, &pluginpb.ConnInfo_Knock{}),
			knockMessage(1000, &pluginpb.ConnInfo_Knock{Ack: true, Error: "nobody asked"}),
			{},
		} {
			if err := b.link.send(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, b := range [][2]*Broker{{host, plugin}, {plugin, host}} {
		lis, err := b[0].Accept(1)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := connection(t.Context(), b[1], 1)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		_ = lis.Close()
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

func TestListenersTranslateAddresses(t *testing.T) {
	host := New(testConfig(Listeners(ListenerConfig{Translator: prefixTranslator{prefix: "/container"}})))
	defer host.Close()
	sent, detach := attached(host)
	defer detach()
	lis, err := host.Accept(1)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if got, want := (<-sent).GetAddress(), "/container"+lis.Addr().String(); got != want {
		t.Errorf("announced %q, want %q", got, want)
	}
	// The plugin announces the very listener in its own words; the last word counts.
	host.transport.receive(&pluginpb.ConnInfo{ServiceId: 2, Network: "unix", Address: "/elsewhere"})
	host.transport.receive(&pluginpb.ConnInfo{ServiceId: 2, Network: "unix", Address: "/container" + lis.Addr().String()})
	conn, err := connection(t.Context(), host, 2)
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
		if _, err := host.Dial(3, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s (%s): Dial = %v, want %q", name, tc.reason, err, tc.want)
		}
	}
}
