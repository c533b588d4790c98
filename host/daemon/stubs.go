// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

// stubKey names a routed stub of a plugin: one for each dialect that its endpoints speak.
type stubKey struct{ kind, dialect string }

// routed is a stub whose calls go to whichever endpoint is ready and speaks dialect.
type routed struct {
	dialect string
	info    conn.Info // of the session that it was made for
	pool    *fleet.Pool
	broker  *plugin.SharedBroker // of the plugin, when it was made
	calls   *callMetrics
	impl    any
	end     func(cause error) error
	// released says that nobody should begin to use it.
	released atomic.Bool
}

// close ends the stub. It is called once.
func (r *routed) close() { r.closeWith(nil) }

// closeWith is close with what calls say from then on.
func (r *routed) closeWith(cause error) {
	_ = r.end(cause) // only says that it was closed before
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
	key := stubKey{k.name, d.dialects.of(info)}
	for {
		if r := d.sharedStub(name, key); r != nil {
			return r, nil
		}
		// Without the lock: the kind's glue is somebody else's code, and may well call
		// its plugin or dispense another kind.
		r, err := d.makeStub(name, k, info)
		if err != nil {
			return nil, err
		}
		if r, err = d.shareStub(name, key, r); r != nil || err != nil {
			return r, err
		}
	}
}

// answered gives the kinds of which a plugin has answered a call, in any order.
func (d *Daemon) answered(plugin string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var kinds []string
	for key, r := range d.heldNow(plugin).stubs {
		if r.calls.answered.Load() {
			kinds = append(kinds, key.kind)
		}
	}
	return kinds
}

func (d *Daemon) sharedStub(plugin string, key stubKey) *routed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heldNow(plugin).stubs[key]
}

// shareStub gives the stub that all callers share: r, or the one that somebody else
// made meanwhile. It gives neither a stub nor an error if the plugin's broker was
// released meanwhile: r would hear no callbacks.
func (d *Daemon) shareStub(plugin string, key stubKey, r *routed) (shared *routed, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.plugins[plugin]
	switch {
	case d.ended: // nobody would close it any more
		err = ErrStopped
	case h == nil || h.broker != r.broker:
	case h.stubs[key] != nil:
		shared = h.stubs[key]
	default:
		h.stubs[key] = r
		return r, nil
	}
	r.close()
	return shared, err
}

func (d *Daemon) makeStub(name string, k *Kind, info conn.Info) (*routed, error) {
	glue := d.versions[info.Version][k.name]
	if glue == nil {
		return nil, fmt.Errorf("%w: kind %q: version %d, which plugin %s speaks, does not have it", ErrNotServed, k.name, info.Version, name)
	}
	pool := d.fleet.Pool(name)
	broker := d.broker(name)
	calls := d.metrics.calls(name, k.name)
	config := stub.Config{Router: speakers{pool, d.dialects.of(info)}, Observer: calls, Broker: broker}
	config.Tracing = stub.Tracing{Tracer: d.opts.Tracer, Plugin: name, Kind: k.name}
	d.state(&config, name, k, d.dialects.of(info))
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
		return &routed{impl: impl, end: s.CloseWithError}, nil
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
	return &routed{impl: impl, end: s.CloseWithError}, nil
}
