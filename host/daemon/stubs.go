// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

// stubKey names a routed stub: one for each dialect that a plugin's endpoints speak.
type stubKey struct{ plugin, kind, dialect string }

// routed is a stub whose calls go to whichever endpoint is ready and speaks dialect.
type routed struct {
	dialect string
	info    conn.Info // of the session that it was made for
	pool    *fleet.Pool
	broker  *plugin.SharedBroker // of the plugin, when it was made
	calls   *callMetrics
	impl    any
	end     func() error
	// released says that nobody should begin to use it.
	released atomic.Bool
}

// close ends the stub. It is called once.
func (r *routed) close() {
	_ = r.end() // only says that it was closed before
	r.pool.Release()
}

// speakers is a balancer.Router to the endpoints of one dialect.
type speakers struct {
	pool    *fleet.Pool
	dialect string
}

// Pick implements balancer.Router.
func (s speakers) Pick(ctx context.Context, _ string, tried []string) (balancer.Lease, error) {
	return s.pool.Pick(ctx, s.dialect, tried)
}

// stub gives the routed stub for the dialect of a session.
func (d *Daemon) stub(name string, k *Kind, info conn.Info) (*routed, error) {
	key := stubKey{name, k.name, d.dialects.of(info)}
	for {
		if r := d.keptStub(key); r != nil {
			return r, nil
		}
		// Without the lock: the kind's glue is somebody else's code, and may well call
		// its plugin or dispense another kind.
		r, err := d.makeStub(name, k, info)
		if err != nil {
			return nil, err
		}
		if r, err = d.keepStub(key, r); r != nil || err != nil {
			return r, err
		}
	}
}

// answered gives the kinds of which a plugin has answered a call, in any order.
func (d *Daemon) answered(plugin string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var kinds []string
	for key, r := range d.stubs {
		if key.plugin == plugin && r.calls.answered.Load() {
			kinds = append(kinds, key.kind)
		}
	}
	return kinds
}

func (d *Daemon) keptStub(key stubKey) *routed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stubs[key]
}

// keepStub gives the stub that all callers share: r, or the one that somebody else
// made meanwhile. It gives neither a stub nor an error if the plugin's broker was
// released meanwhile: r would hear no callbacks.
func (d *Daemon) keepStub(key stubKey, r *routed) (*routed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.stubs[key]; first != nil {
		r.close()
		return first, nil
	}
	if d.stubs == nil { // nobody would close it any more
		r.close()
		return nil, fleet.ErrShutdown
	}
	if !d.brokers.has(key.plugin, r.broker) {
		r.close()
		return nil, nil
	}
	d.stubs[key] = r
	return r, nil
}

func (d *Daemon) makeStub(name string, k *Kind, info conn.Info) (*routed, error) {
	glue := d.versions[info.Version][k.name]
	if glue == nil {
		return nil, fmt.Errorf("%w: kind %q: version %d, which plugin %s speaks, does not have it", ErrNotServed, k.name, info.Version, name)
	}
	pool := d.fleet.Pool(name)
	broker := d.brokers.of(name)
	calls := d.metrics.calls(name, k.name)
	config := stub.Config{
		Router: speakers{pool, d.dialects.of(info)}, Methods: k, Observer: calls, Broker: broker,
	}
	r, err := d.newStub(glue, k, info.Protocol, config)
	if err != nil {
		pool.Release()
		return nil, err
	}
	r.dialect, r.info, r.pool, r.broker, r.calls = d.dialects.of(info), info, pool, broker, calls
	if r.impl == nil || !reflect.TypeOf(r.impl).Implements(k.iface) {
		r.close()
		return nil, fmt.Errorf("kind %q: its plugin.Plugin made a %T, which is not a %s", k.name, r.impl, k.iface)
	}
	return r, nil
}

func (d *Daemon) newStub(glue plugin.Plugin, k *Kind, protocol string, config stub.Config) (*routed, error) {
	if protocol == string(plugin.ProtocolGRPC) {
		g, ok := glue.(plugin.GRPCPlugin)
		if !ok {
			return nil, fmt.Errorf("kind %q: %T cannot speak gRPC", k.name, glue)
		}
		s, err := stub.NewGRPC(config)
		if err != nil {
			return nil, err
		}
		impl, err := g.GRPCClient(d.life, s.Broker, s.Conn)
		if err != nil {
			_ = s.Close()
			return nil, fmt.Errorf("kind %q: %w", k.name, err)
		}
		return &routed{impl: impl, end: s.Close}, nil
	}
	s, err := stub.NewRPC(k.name, config)
	if err != nil {
		return nil, fmt.Errorf("kind %q: %w", k.name, err)
	}
	impl, err := glue.Client(s.Broker, s.Client)
	if err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("kind %q: %w", k.name, err)
	}
	return &routed{impl: impl, end: s.Close}, nil
}

// closeStubs ends every stub; calls on them fail from then on.
func (d *Daemon) closeStubs() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.stubs {
		r.close()
	}
	d.stubs = nil
	d.brokers.close()
}

// brokers holds the callbacks' broker of each plugin, shared by its sessions.
type brokers struct {
	wait       time.Duration
	maxMessage int // of SharedBroker.MaxMessageBytes
	mu         sync.Mutex
	all        map[string]*plugin.SharedBroker
}

func newBrokers(wait time.Duration, maxMessage int) *brokers {
	return &brokers{wait: wait, maxMessage: maxMessage, all: make(map[string]*plugin.SharedBroker)}
}

// of gives the broker of a plugin.
func (b *brokers) of(name string) *plugin.SharedBroker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[name] == nil {
		b.all[name] = plugin.NewSharedBroker(b.wait, nil)
		b.all[name].MaxMessageBytes = b.maxMessage
	}
	return b.all[name]
}

// has reports whether broker is that of a plugin still.
func (b *brokers) has(name string, broker *plugin.SharedBroker) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[name] == broker
}

// take gives up the brokers of plugins that are unused, for the caller to close. While
// unused is asked nobody gets a broker, as a session does that is being made.
func (b *brokers) take(unused func(name string) bool) []*plugin.SharedBroker {
	b.mu.Lock()
	defer b.mu.Unlock()
	var taken []*plugin.SharedBroker
	for name, broker := range b.all {
		if unused(name) {
			taken = append(taken, broker)
			delete(b.all, name)
		}
	}
	return taken
}

func (b *brokers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, broker := range b.all {
		broker.Close()
		delete(b.all, name)
	}
}
