// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

var testHandshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "STUB_TEST", MagicCookieValue: "hello"}

// pod is a network plugin inside the test, at an address that stays the same.
type pod struct {
	name string
	addr *net.TCPAddr
	set  plugin.PluginSet
	grpc bool

	mu    sync.Mutex
	conns []net.Conn
	lis   net.Listener
	stop  context.CancelFunc
	done  chan error
}

// startPod serves until the test ends.
func startPod(t testing.TB, name string, set plugin.PluginSet, grpc bool) *pod {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", address.Hold(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &pod{name: name, addr: addr, set: set, grpc: grpc}
	p.start(t)
	t.Cleanup(func() {
		if p.stop != nil {
			p.drain(t)
		}
	})
	return p
}

// start serves at its address, for the first time or after it has ended.
func (p *pod) start(t testing.TB) {
	lis, err := net.ListenTCP("tcp", p.addr)
	if err != nil {
		t.Errorf("start pod %s: %v", p.name, err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done, p.lis = cancel, make(chan error, 1), lis
	opts := &plugin.ServeConfig{
		HandshakeConfig: testHandshake,
		Plugins:         p.set,
		Logger:          hclog.NewNullLogger(),
		Network:         &plugin.NetworkConfig{Name: "stub-test", DrainTimeout: 10 * time.Second},
	}
	if p.grpc {
		opts.GRPCServer = plugin.DefaultGRPCServer
	}
	go func() { p.done <- plugin.ServeListener(ctx, &countingListener{lis, p}, opts) }()
}

// drain ends the pod as SIGTERM does.
func (p *pod) drain(t testing.TB) {
	p.stop()
	if err := <-p.done; err != nil {
		t.Errorf("pod %s: %v", p.name, err)
	}
	p.stop = nil
}

// kill cuts every connection before the plugin can answer, as SIGKILL does.
func (p *pod) kill() {
	_ = p.lis.Close()
	p.cut()
	p.stop()
	<-p.done
	p.stop = nil
}

// cut ends the connections; the plugin lives on.
func (p *pod) cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

type countingListener struct {
	net.Listener
	pod *pod
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.pod.mu.Lock()
		l.pod.conns = append(l.pod.conns, conn)
		l.pod.mu.Unlock()
	}
	return conn, err
}

// crew is a small fleet: it keeps a session with each pod and routes over
// those that are ready.
type crew struct {
	broker *plugin.SharedBroker

	mu      sync.Mutex
	changed chan struct{}
	ready   []*crewMember
	next    atomic.Uint64
	leases  atomic.Int64
	late    atomic.Int64 // leases that came back as TimedOut
}

// crewMember is one session.
type crewMember struct {
	*plugin.Session
	crew  *crew
	name  string
	calls atomic.Int64
}

func memberName(p *pod) string { return "stub-test@" + p.addr.String() }

func (m *crewMember) isOf(p *pod) bool { return m.name == memberName(p) }

// crewLease is a Lease on a member.
type crewLease struct{ member *crewMember }

func (l crewLease) Endpoint() string       { return l.member.name }
func (l crewLease) Session() any           { return l.member }
func (l crewLease) Ended() <-chan struct{} { return l.member.Done() }

// Begin implements balancer.Renewable.
func (l crewLease) Begin() bool {
	select {
	case <-l.member.Done():
		return false
	case <-l.member.Draining():
		return false
	default:
	}
	l.member.crew.leases.Add(1)
	return true
}

func (l crewLease) Done(o balancer.Outcome) {
	if o == balancer.TimedOut {
		l.member.crew.late.Add(1)
	}
	l.member.crew.leases.Add(-1)
}

// startCrew attaches to the pods and stays attached until the test ends.
func startCrew(t testing.TB, pods []*pod, protocol plugin.Protocol) *crew {
	t.Helper()
	c := &crew{changed: make(chan struct{}), broker: plugin.NewSharedBroker(10*time.Second, nil)}
	ctx, cancel := context.WithCancel(context.Background())
	var keepers sync.WaitGroup
	for _, p := range pods {
		keepers.Go(func() { c.keep(ctx, p, protocol) })
	}
	t.Cleanup(func() {
		cancel()
		keepers.Wait()
		c.broker.Close()
	})
	return c
}

func (c *crew) keep(ctx context.Context, p *pod, protocol plugin.Protocol) {
	for ctx.Err() == nil {
		session, err := plugin.Attach(ctx, &plugin.ClientConfig{
			HandshakeConfig:  testHandshake,
			Plugins:          p.set,
			Reattach:         &plugin.ReattachConfig{Addr: p.addr},
			AllowedProtocols: []plugin.Protocol{protocol},
			Logger:           hclog.NewNullLogger(),
			Broker:           c.broker,
		})
		if err != nil {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		m := &crewMember{Session: session, crew: c, name: memberName(p)}
		c.change(func(ready []*crewMember) []*crewMember { return append(ready, m) })
		select {
		case <-session.Done():
		case <-session.Draining():
		case <-ctx.Done():
		}
		c.change(func(ready []*crewMember) []*crewMember {
			return slices.DeleteFunc(ready, func(o *crewMember) bool { return o == m })
		})
		select {
		case <-session.Done():
		case <-ctx.Done():
		}
		_ = session.Close()
	}
}

func (c *crew) change(f func([]*crewMember) []*crewMember) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = f(slices.Clone(c.ready))
	close(c.changed)
	c.changed = make(chan struct{})
}

var errNoCrew = errors.New("no pod is ready")

// Pick implements Router.
func (c *crew) Pick(ctx context.Context, _ string, tried []string) (balancer.Lease, error) {
	for {
		c.mu.Lock()
		ready, changed := c.ready, c.changed
		c.mu.Unlock()
		if len(ready) > 0 {
			turn := c.next.Add(1)
			for i := range ready {
				m := ready[(turn+uint64(i))%uint64(len(ready))]
				if i == len(ready)-1 || !slices.Contains(tried, m.name) {
					m.calls.Add(1)
					c.leases.Add(1)
					return crewLease{m}, nil
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errNoCrew
		}
	}
}

// awaitReady waits until n pods are ready. It may count those that have just been
// lost: reattach does not.
func (c *crew) awaitReady(t testing.TB, n int) {
	t.Helper()
	c.await(t, func(ready []*crewMember) bool { return len(ready) == n })
}

// reattach does what ends the sessions with pods, and waits until new ones have
// taken their places.
func (c *crew) reattach(t testing.TB, misfortune func(), pods ...*pod) {
	t.Helper()
	c.mu.Lock()
	before := c.ready
	c.mu.Unlock()
	misfortune()
	c.await(t, func(ready []*crewMember) bool {
		return len(ready) == len(before) && !slices.ContainsFunc(ready, func(m *crewMember) bool {
			return slices.Contains(before, m) && slices.ContainsFunc(pods, m.isOf)
		})
	})
}

func (c *crew) await(t testing.TB, enough func(ready []*crewMember) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		c.mu.Lock()
		ready, changed := c.ready, c.changed
		c.mu.Unlock()
		if enough(ready) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d pods are ready, which is not what was awaited", len(ready))
		}
	}
}

// spread is how many calls each ready pod has had since the last time.
func (c *crew) spread() (least, most int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.ready {
		n := m.calls.Swap(0)
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	return least, most
}

// ledger counts how often each id was run, by any pod.
type ledger struct {
	mu   sync.Mutex
	runs map[string]int
	hung chan struct{} // of each call that has begun to hang
}

func newLedger() *ledger { return &ledger{runs: map[string]int{}, hung: make(chan struct{}, 10)} }

func (l *ledger) add(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[id]++
	return l.runs[id]
}

// twice lists what was run more than once.
func (l *ledger) twice() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, n := range l.runs {
		if n > 1 {
			ids = append(ids, fmt.Sprintf("%s: %d times", id, n))
		}
	}
	return ids
}
