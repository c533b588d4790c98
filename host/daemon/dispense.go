// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
)

// Dispense gives the kind of a plugin as its interface T. The value stays valid
// until the daemon ends, wherever the plugin's endpoints go: there is no need ever to
// dispense it again, and doing so gives the same value while the plugin is known.
//
// It waits, as long as ctx does, for a first endpoint. Errors match [ErrUnknown] for
// a plugin or kind that nobody knows, and [ErrNotServed] for a plugin that says it
// lacks the kind. If no endpoint was ready in time the error is a *stub.Fault of
// stub.ReasonUnavailable, as that of a call is, in which errors.As finds a
// *fleet.NotReadyError with the cause of each endpoint; it matches [ErrStopped] once Run
// was told to end. If ctx was cancelled it is a *stub.Fault of stub.ReasonCaller.
//
// Once Run has returned, Dispense, [Daemon.Call] and the calls of every value fail with
// ErrStopped.
//
// What stands behind the value is released when no source knows its plugin any more, and made again by
// the next call, if the kind has a switch. Without one the value is the glue's own: it
// costs a few goroutines for as long as the daemon runs.
func Dispense[T any](ctx context.Context, d *Daemon, plugin, kind string) (T, error) {
	var none T
	k, err := d.kind(kind)
	if err != nil {
		return none, fmt.Errorf("dispense %s of %s: %w", kind, plugin, err)
	}
	if want := reflect.TypeFor[T](); want != k.iface {
		return none, fmt.Errorf("dispense %s of %s: the kind is a %s, not a %s", kind, plugin, k.iface, want)
	}
	v, err := d.dispense(ctx, plugin, k, k.route == nil)
	if err = notDispensed(ctx, "", err); err != nil {
		return none, fmt.Errorf("dispense %s of %s: %w", kind, plugin, err)
	}
	return v.(T), nil
}

// dispensed is the one value for a plugin and a kind.
type dispensed struct {
	value any
	// dialect is what a value without a switch keeps to. Empty for one with a switch.
	dialect string
	kept    bool // a caller of Dispense has it, and there is no switch
}

func (d *Daemon) kind(name string) (*Kind, error) {
	if k := d.kinds[name]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w kind %q: this host knows %s", ErrUnknown, name, strings.Join(slices.Sorted(maps.Keys(d.kinds)), ", "))
}

// dispense gives the one value that there is for a plugin and a kind. With keep it is
// released no more.
func (d *Daemon) dispense(ctx context.Context, plugin string, k *Kind, keep bool) (any, error) {
	d.renew(plugin)
	for {
		if d.stopped() {
			return nil, ErrStopped // what is held is dead
		}
		if v := d.value(plugin, k.name, keep); v != nil {
			return v.value, nil
		}
		if err := d.makeValue(ctx, plugin, k); err != nil {
			return nil, err
		}
	}
}

// makeValue makes a value for a plugin and a kind, unless what stands behind it is
// released at once.
func (d *Daemon) makeValue(ctx context.Context, plugin string, k *Kind) error {
	pool := d.fleet.Pool(plugin)
	defer pool.Release() // the stub has it too
	info, err := d.ready(ctx, pool)
	if err != nil {
		if _, nobody := errors.AsType[*fleet.UnknownPluginError](err); nobody {
			return unknown{err}
		}
		return err
	}
	if err := serves(plugin, k, info); err != nil {
		return err
	}
	stub, err := d.stub(plugin, k, info)
	if err != nil {
		return err
	}
	v := stub.impl
	if k.route != nil {
		var latest atomic.Pointer[routed]
		latest.Store(stub)
		v = k.route(func() any { return d.pick(k, &latest) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hold(plugin)
	if h.values[k.name] != nil || stub.released.Load() {
		return nil
	}
	made := &dispensed{value: v}
	h.values[k.name] = made
	if k.route != nil {
		return nil
	}
	// The plugin's sessions shall speak what the value does, as far as the plugin can.
	made.dialect = stub.dialect
	if h.dialect == "" {
		h.dialect = stub.dialect
		pool.Renew(func(info conn.Info) bool { return d.dialects.of(info) != stub.dialect })
	}
	return nil
}

// dialectOf gives the dialect that the value for a plugin and a kind keeps to, or
// nothing.
func (d *Daemon) dialectOf(plugin string, k *Kind) string {
	if v := d.value(plugin, k.name, false); v != nil {
		return v.dialect
	}
	return ""
}

// wanted gives the dialect that a plugin's sessions shall speak, or nothing.
func (d *Daemon) wanted(plugin string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.heldNow(plugin).dialect
}

// ready waits for an endpoint and gives what its session is. It prefers one that
// speaks what the plugin's sessions shall speak.
func (d *Daemon) ready(ctx context.Context, pool *fleet.Pool) (conn.Info, error) {
	if dialect := d.wanted(pool.Plugin()); dialect != "" {
		if info, err := pool.Ready(d.atOnce, dialect); err == nil {
			return info, nil
		}
	}
	return pool.Ready(ctx, "")
}

// mayServe reports whether a plugin lists a kind, or does not tell.
func mayServe(info conn.Info, kind string) bool {
	return info.Kinds == nil || slices.ContainsFunc(info.Kinds, func(o conn.Kind) bool { return o.Name == kind })
}

// serves says whether a plugin that lists its kinds lists this one.
func serves(plugin string, k *Kind, info conn.Info) error {
	if k.described != nil || mayServe(info, k.name) {
		return nil // a described kind may go by the name of its gRPC service
	}
	names := make([]string, 0, len(info.Kinds))
	for _, o := range info.Kinds {
		names = append(names, o.Name)
	}
	return fmt.Errorf("%w: kind %q: plugin %s serves %s", ErrNotServed, k.name, plugin, strings.Join(names, ", "))
}

// pick gives the stub for what the plugin's endpoints speak now, or the latest one
// while there is none: its calls wait.
func (d *Daemon) pick(k *Kind, latest *atomic.Pointer[routed]) any {
	last := latest.Load()
	if last.released.Load() {
		last = d.revive(k, last)
		latest.Store(last)
	}
	if info, err := last.pool.Ready(d.atOnce, ""); err == nil {
		if now, err := d.stub(last.pool.Plugin(), k, info); err == nil {
			latest.Store(now)
			return now.impl
		}
	}
	return last.impl
}

// revive gives a stub in the place of one that was released.
func (d *Daemon) revive(k *Kind, last *routed) *routed {
	if now, err := d.stub(last.pool.Plugin(), k, last.info); err == nil {
		return now
	}
	return last // the daemon has ended, and so its calls fail as they should
}
