// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/wait"
)

var brokerCases = map[string]pairOptions{
	"listeners":            {},
	"listeners, AutoMTLS":  {mutual: true},
	"multiplexed":          {multiplexed: true},
	"multiplexed AutoMTLS": {multiplexed: true, mutual: true},
	"mux":                  {mux: true},
	"mux inside TLS":       {mux: true, mutual: true},
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
	for _, name := range []string{"listeners", "mux"} {
		t.Run(name, func(t *testing.T) {
			var calls wait.Group
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
	var calls wait.Group
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
	const limit = time.Second
	p := newGRPCPair(t, pairOptions{mux: true, wait: limit})
	start := time.Now()
	var dials wait.Group
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
	if waited := time.Since(start); waited < limit {
		t.Errorf("gave up after %v, want %v at least", waited, limit)
	}
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
			if _, err := p.stub.broker.Accept(97); !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Accept after Close = %v, want %v", err, broker.ErrClosed)
			}
			if _, err := p.stub.broker.Dial(97); !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Dial after Close = %v, want %v", err, broker.ErrClosed)
			}
		})
	}
}

// A plugin that serves more than one connection on an id, as long as its own
// listener is open.
func TestBrokerListenerTakesManyConnections(t *testing.T) {
	for _, name := range []string{"multiplexed", "mux"} {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, brokerCases[name])
			lis, err := p.stub.broker.Accept(5)
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			server.RegisterService(relayDesc(), newRelay("shared"))
			var serving wait.Group
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
