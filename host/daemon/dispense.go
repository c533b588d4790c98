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

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
)

// Dispense gives the kind of a plugin as its interface T. The value stays valid
// until the daemon ends, wherever the plugin's endpoints go: there is no need ever to
// dispense it again, and doing so gives the same value.
//
// It waits, as long as ctx does, for a first endpoint. Errors match [ErrUnknown] for
// a plugin or kind that nobody knows, and [ErrNotServed] for a plugin that says it
// lacks the kind.
func Dispense[T any](ctx context.Context, d *Daemon, plugin, kind string) (T, error) {
	var none T
	k, err := d.kind(kind)
	if err != nil {
		return none, fmt.Errorf("dispense %s of %s: %w", kind, plugin, err)
	}
	if want := reflect.TypeFor[T](); want != k.iface {
		return none, fmt.Errorf("dispense %s of %s: the kind is a %s, not a %s", kind, plugin, k.iface, want)
	}
	v, err := d.dispense(ctx, plugin, k)
	if err != nil {
		return none, fmt.Errorf("dispense %s of %s: %w", kind, plugin, err)
	}
	return v.(T), nil
}

type dispensedKey struct{ plugin, kind string }

func (d *Daemon) kind(name string) (*Kind, error) {
	if k := d.kinds[name]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w kind %q: this host knows %s", ErrUnknown, name, strings.Join(slices.Sorted(maps.Keys(d.kinds)), ", "))
}

// dispense gives the one value that there is for a plugin and a kind.
func (d *Daemon) dispense(ctx context.Context, plugin string, k *Kind) (any, error) {
	key := dispensedKey{plugin, k.name}
	if v := d.lookup(key); v != nil {
		return v, nil
	}
	pool := d.fleet.Pool(plugin)
	kept := false
	defer func() {
		if !kept { // the name may be one that the caller made up
			pool.Release()
		}
	}()
	info, err := pool.Ready(ctx)
	if err != nil {
		if _, nobody := errors.AsType[*fleet.UnknownPluginError](err); nobody {
			return nil, unknown{err}
		}
		return nil, err
	}
	if err := serves(plugin, k, info); err != nil {
		return nil, err
	}
	stub, err := d.stub(plugin, k, info)
	if err != nil {
		return nil, err
	}
	v := stub.impl
	if k.route != nil {
		v = k.route(func() any { return d.pick(pool, k, stub) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.dispensed[key]; first != nil {
		return first, nil
	}
	d.dispensed[key], kept = v, true
	return v, nil
}

func (d *Daemon) lookup(key dispensedKey) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dispensed[key]
}

// serves says whether a plugin that lists its kinds lists this one.
func serves(plugin string, k *Kind, info conn.Info) error {
	if info.Kinds == nil || slices.ContainsFunc(info.Kinds, func(o conn.Kind) bool { return o.Name == k.name }) {
		return nil
	}
	names := make([]string, 0, len(info.Kinds))
	for _, o := range info.Kinds {
		names = append(names, o.Name)
	}
	return fmt.Errorf("%w: kind %q: plugin %s serves %s", ErrNotServed, k.name, plugin, strings.Join(names, ", "))
}

// pick gives the stub for the protocol that the plugin's endpoints speak now, or the
// first one while there is none: its calls wait.
func (d *Daemon) pick(pool *fleet.Pool, k *Kind, first *routed) any {
	at, cancel := context.WithCancel(d.life)
	cancel() // only what is ready at this moment
	info, err := pool.Ready(at)
	if err != nil {
		return first.impl
	}
	now, err := d.stub(pool.Plugin(), k, info)
	if err != nil {
		return first.impl
	}
	return now.impl
}
