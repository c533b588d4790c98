// SPDX-License-Identifier: MPL-2.0

package daemontest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// drainWithin bounds how long a plugin that drains waits for its calls.
const drainWithin = 10 * time.Second

// Endpoint is one instance of a plugin at an address that it keeps. Its methods may be
// called from any goroutine.
type Endpoint struct {
	t       testing.TB
	address string
	serves  map[int]plugin.PluginSet

	mu      sync.Mutex
	running *instance // nil after Kill or Drain
	all     []*instance
}

// instance is one life of an endpoint.
type instance struct {
	front *relay
	stop  context.CancelFunc // as SIGTERM does
	ended chan struct{}      // closed when it has served
	err   error              // once it has
}

func newEndpoint(t testing.TB, serves map[int]plugin.PluginSet) *Endpoint {
	t.Helper()
	e := &Endpoint{t: t, address: address.Hold(t), serves: serves}
	e.Start()
	t.Cleanup(e.end)
	return e
}

// Start begins another instance at the same address, after Kill or Drain.
func (e *Endpoint) Start() {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != nil {
		e.t.Fatal("daemontest: Start of an endpoint that runs")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	front, err := newRelay(e.address, lis.Addr().String())
	if err != nil {
		_ = lis.Close()
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{front: front, stop: cancel, ended: make(chan struct{})}
	e.running, e.all = i, append(e.all, i)
	go func() {
		defer close(i.ended)
		i.err = plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: handshake(), VersionedPlugins: e.serves, GRPCServer: plugin.DefaultGRPCServer,
			Logger:  hclog.NewNullLogger(),
			Network: &plugin.NetworkConfig{Name: Name, DrainTimeout: drainWithin},
		})
	}()
}

// take gives the instance that runs, which then does no more.
func (e *Endpoint) take() *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.running
	e.running = nil
	return i
}

// Kill ends the instance as the end of its process would: its connections are reset, calls
// on them are lost, and its port is closed. What its methods do goes on, and nobody hears of
// it.
func (e *Endpoint) Kill() {
	if i := e.take(); i != nil {
		i.front.close()
		i.stop()
	}
}

// Drain ends the instance as SIGTERM would: hosts hear of it and send no more calls, those
// in flight are answered, and then it has ended, which Drain waits for. An error of it,
// such as a call that does not end, fails the test.
func (e *Endpoint) Drain() {
	e.t.Helper()
	i := e.take()
	if i == nil {
		return
	}
	i.stop()
	<-i.ended
	i.front.close()
	if i.err != nil {
		e.t.Errorf("daemontest: drain: %v", i.err)
	}
}

// Slow delays whatever the instance sends from now on, answers and all else, by so much.
// Zero ends that. Another instance is not slow.
func (e *Endpoint) Slow(by time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != nil {
		e.running.front.delay.Store(int64(by))
	}
}

// end waits for all that the endpoint has started.
func (e *Endpoint) end() {
	e.Kill()
	for _, i := range e.all {
		<-i.ended
	}
}
