// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// turns is a connection whose calls go to one session after the other.
type turns struct {
	grpc.ClientConnInterface
	mu    sync.Mutex
	pairs []*grpcPair
	last  *grpcPair // whose answer came last
	next  int
}

func (s *turns) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	s.mu.Lock()
	p := s.pairs[s.next%len(s.pairs)]
	s.next++
	s.mu.Unlock()
	err := p.client.Conn.Invoke(ctx, method, args, reply, opts...)
	s.mu.Lock()
	s.last = p
	s.mu.Unlock()
	return err
}

func (s *turns) broker() *plugin.GRPCBroker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil
	}
	return s.last.client.GRPCBroker()
}

func newSharedBroker(t testing.TB) *plugin.SharedBroker {
	t.Helper()
	shared := plugin.NewSharedBroker(rendezvous.Wait, nil)
	t.Cleanup(shared.Close)
	return shared
}

// joined makes a session that has joined shared.
func joined(t testing.TB, shared *plugin.SharedBroker, o pairOptions) *grpcPair {
	o.client = func(cfg *plugin.GRPCClientConfig) { cfg.Config.Broker = shared }
	return newGRPCPair(t, o)
}

// TestSharedGRPCBroker calls through sessions of each sort, and of all sorts at
// once, with one stub.
func TestSharedGRPCBroker(t *testing.T) {
	all := map[string][]pairOptions{}
	for name, o := range brokerCases {
		all[name] = []pairOptions{o, o, o}
		all["mixed"] = append(all["mixed"], o)
	}
	for name, sessions := range all {
		t.Run(name, func(t *testing.T) {
			shared := newSharedBroker(t)
			conn := &turns{}
			for _, o := range sessions {
				conn.pairs = append(conn.pairs, joined(t, shared, o))
			}
			stub := &relay{broker: shared.GRPCBroker(conn.broker), conn: conn}
			var calls wait.Group
			for i := range 4 {
				calls.Go(func() {
					for n := range 6 {
						text := fmt.Sprintf("host %d in call %d", i, n)
						if got, err := stub.callback(t.Context(), "Via", text); got != text || err != nil {
							t.Errorf("callback reached %q, %v, want %q", got, err, text)
						}
					}
				})
			}
			calls.Wait()
			for i := range 2 * len(sessions) {
				if got, err := stub.opened(t.Context(), fmt.Sprint(i)); got != fmt.Sprint("plugin", i) || err != nil {
					t.Errorf("the host's call reached %q, %v, want plugin%d", got, err, i)
				}
			}
			// A session's own stub goes on working beside the shared one.
			if got, err := conn.pairs[0].stub.callback(t.Context(), "Via", "own"); got != "own" || err != nil {
				t.Errorf("callback to a session's own stub reached %q, %v", got, err)
			}
		})
	}
}

// TestSharedGRPCBrokerLateSession accepts an id before the session that will
// dial it exists: a call may be sent again to an instance that has just come.
func TestSharedGRPCBrokerLateSession(t *testing.T) {
	for name, o := range brokerCases {
		t.Run(name, func(t *testing.T) {
			shared := newSharedBroker(t)
			conn := &turns{}
			stub := &relay{broker: shared.GRPCBroker(conn.broker), conn: conn}
			id := stub.broker.NextId()
			accepted := make(chan struct{})
			go stub.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
				close(accepted)
				return serveRelay("early")(options)
			})
			<-accepted
			conn.pairs = []*grpcPair{joined(t, shared, o)}
			if got, err := stub.call(t.Context(), "Via", fmt.Sprint(id)); got != "early" || err != nil {
				t.Errorf("callback reached %q, %v", got, err)
			}
		})
	}
}

func TestSharedGRPCBrokerEnds(t *testing.T) {
	shared := newSharedBroker(t)
	pair := joined(t, shared, brokerCases["mux"])
	broker := shared.GRPCBroker(func() *plugin.GRPCBroker { return nil })
	own, err := pair.client.GRPCBroker().Accept(broker.NextId())
	if err != nil {
		t.Fatal(err)
	}
	common, err := broker.Accept(broker.NextId())
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	accept := func(lis net.Listener) {
		_, err := lis.Accept()
		accepted <- err
	}

	if _, err := broker.Dial(1); !errors.Is(err, plugin.ErrNoLatest) {
		t.Errorf("Dial before any answer: %v", err)
	}
	go accept(own)
	pair.end()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("what a session accepted must end with it: %v", err)
	}
	go accept(common)
	shared.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("what is accepted in common must end with the shared broker: %v", err)
	}
	if _, err := broker.Accept(1); err == nil {
		t.Error("Accept works after Close")
	}
}

// TestSharedMuxBroker shares one broker between the net/rpc sessions with three
// plugins.
func TestSharedMuxBroker(t *testing.T) {
	shared := newSharedBroker(t)
	var sessions []*plugin.Session
	for range 3 {
		p := serveEcho(t, nil)
		cfg := p.clientConfig()
		cfg.Broker = shared
		s, err := plugin.Attach(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		sessions = append(sessions, s)
	}
	broker := shared.MuxBroker(func() *plugin.MuxBroker { return nil })
	if _, err := broker.Dial(1); !errors.Is(err, plugin.ErrNoLatest) {
		t.Errorf("Dial before any answer: %v", err)
	}
	var calls wait.Group
	for i, s := range sessions {
		raw, err := s.Dispense("echo")
		if err != nil {
			t.Fatal(err)
		}
		own := raw.(*echoClient)
		// The calls go to this session, what they call back does not.
		stub := &echoClient{client: own.client, broker: broker}
		for n := range 20 {
			calls.Go(func() {
				text := fmt.Sprintf("%d in session %d", n, i)
				if got, err := stub.Via(text); got != text || err != nil {
					t.Errorf("callback read %q, %v, want %q", got, err, text)
				}
				if got, err := own.Via(text); got != text || err != nil {
					t.Errorf("callback to the session's own stub read %q, %v, want %q", got, err, text)
				}
			})
		}
	}
	calls.Wait()
}

// After Close nothing is accepted any more, on brokers that were made before.
func TestClosedSharedBrokerAcceptsNothing(t *testing.T) {
	for range 100 {
		shared := plugin.NewSharedBroker(rendezvous.Wait, nil)
		broker := shared.GRPCBroker(func() *plugin.GRPCBroker { return nil })
		shared.Close()
		if lis, err := broker.Accept(broker.NextId()); err == nil {
			_ = lis.Close()
			t.Fatal("a closed broker accepts")
		}
	}
}

// A callback is bounded as the host says, in both directions.
func TestSharedBrokerMaxMessage(t *testing.T) {
	for bound, fits := range map[int]bool{plugin.MinMaxMessage: false, -1: true, 0: true} {
		shared := newSharedBroker(t)
		shared.MaxMessageBytes = bound
		conn := &turns{pairs: []*grpcPair{joined(t, shared, pairOptions{})}}
		stub := &relay{broker: shared.GRPCBroker(conn.broker), conn: conn}
		text := strings.Repeat("x", 2*plugin.MinMaxMessage)
		if got, err := stub.callback(t.Context(), "Via", text); (err == nil && got == text) != fits {
			t.Errorf("bound %d: an answer of %d bytes: %v, want success to be %v", bound, len(text), err, fits)
		}
	}
}
