// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

// KindInfo describes a kind that the daemon knows.
type KindInfo struct {
	Name string `json:"name"`
	// Interface is the Go interface. It is empty for a kind of [NewDescribedKind].
	Interface string `json:"interface"`
	// Methods are ordered by name.
	Methods []Method `json:"methods"`
}

// Kinds gives the kinds that the daemon knows, ordered by name.
func (d *Daemon) Kinds() []KindInfo {
	all := make([]KindInfo, 0, len(d.kinds))
	for _, name := range slices.Sorted(maps.Keys(d.kinds)) {
		k := d.kinds[name]
		info := KindInfo{Name: name, Methods: k.list()}
		if k.described == nil {
			info.Interface = k.iface.String()
		}
		all = append(all, info)
	}
	return all
}

// CallOption changes one [Daemon.Call].
type CallOption func(*callSettings)

type callSettings struct{ returned func() }

// WhenReturned has f called once when nothing of the call runs any more. That may be
// after Call has returned: a method without a context runs on when its caller gives
// up. f must not block.
func WhenReturned(f func()) CallOption { return func(s *callSettings) { s.returned = f } }

// ContextBinder is implemented by what plugin.Plugin and plugin.GRPCPlugin make for a
// host of an interface without contexts, and by the adapter of [WithSwitch], if calls of
// it can carry a context all the same.
type ContextBinder interface {
	// WithContext gives a value of the interface whose calls carry ctx: they end with
	// it, and its outgoing metadata reach the plugin. [Daemon.Call] asks for one for each
	// call. It must be cheap, and is dropped after the call. A call that its caller gives
	// up is over for the host then, also where the plugin's method goes on.
	WithContext(ctx context.Context) any
}

// ValuesBinder is what a [ContextBinder] is for an interface whose methods cannot be given
// up: a call counts until its method has returned, whatever becomes of its caller.
type ValuesBinder interface {
	// WithValues gives a value of the interface whose calls carry the values of ctx, which
	// never ends: its outgoing metadata reach the plugin, and its span is that of the
	// caller. It is asked for and dropped as that of WithContext is.
	WithValues(ctx context.Context) any
}

// BindContext gives a value of the interface whose calls carry ctx, if it has such: the adapter
// of [WithSwitch] binds with it what it has picked.
func BindContext[T any](ctx context.Context, v T) T {
	if b, ok := any(v).(ContextBinder); ok {
		if bound, ok := b.WithContext(ctx).(T); ok {
			return bound
		}
	}
	return v
}

// Call calls a method of a plugin with arguments in JSON: an array with one element
// for each parameter, or an object where the kind names them. The result is a JSON
// value: that of a single result, an array of several, or null.
//
// Numbers pass unchanged. A parameter without a type of its own (any, also within
// maps, slices and structs) gets an int64 for an integer, a uint64 for one above that,
// and a float64 for a number with a fraction or an exponent; an integer that none of
// them holds does not fit. Neither does text that is no UTF-8, or a member that an
// object has twice. In a result, text that is no UTF-8 has U+FFFD in its place, as
// JSON has no other.
//
// Arguments are checked against the Go signature before anything is sent: the error
// then matches [ErrArguments]. It matches [ErrUnknown] and [ErrNotCallable] for what
// cannot be called at all. Any other error is the call's: stub.SourceOf says whose.
func (d *Daemon) Call(ctx context.Context, plugin, kind, method string, args json.RawMessage, options ...CallOption) (json.RawMessage, error) {
	settings := callSettings{returned: func() {}}
	for _, set := range options {
		set(&settings)
	}
	runs := false // the method, which then says when it has returned
	defer func() {
		if !runs {
			settings.returned()
		}
	}()
	k, err := d.kind(kind)
	if err != nil {
		return nil, err
	}
	m := k.methods[method]
	if m == nil {
		return nil, fmt.Errorf("%w method %q: kind %s has %s", ErrUnknown, method, kind, strings.Join(slices.Sorted(maps.Keys(k.methods)), ", "))
	}
	if m.uncarried != "" {
		return nil, fmt.Errorf("%s.%s %w: %s", kind, method, ErrNotCallable, m.uncarried)
	}
	values, err := m.arguments(args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, k.Options(method).Timeout, stub.ErrTimeout)
	defer cancel()
	impl, err := d.dispense(ctx, plugin, k, false)
	if err != nil {
		return nil, notDispensed(ctx, method, d.notFound(plugin, err))
	}
	carries := m.hasCtx
	switch b := impl.(type) {
	case ContextBinder:
		if !carries {
			impl, carries = b.WithContext(ctx), true
		}
	case ValuesBinder:
		impl = b.WithValues(context.WithoutCancel(ctx))
	}
	if !carries {
		if err := d.awaitEndpoint(ctx, plugin, k, method); err != nil {
			return nil, err
		}
	}
	runs = true
	result, err := m.callWithin(ctx, impl, values, carries, settings.returned)
	if forgotten, ok := errors.AsType[*fleet.UnknownPluginError](err); ok {
		return nil, unknown{forgotten} // it was known once
	}
	if err != nil {
		err = abandoned(ctx, method, err)
	}
	return result, lacksKind(kind, err)
}

// awaitEndpoint waits until an endpoint can take a call of a method without a context.
// Such a method cannot be told that its caller has given up: once it is called it may
// run, and so it is not called before somebody is there to run it. The error is that of
// the call, which counts as one that a stub has made.
func (d *Daemon) awaitEndpoint(ctx context.Context, plugin string, k *Kind, method string) error {
	began := time.Now()
	pool := d.fleet.Pool(plugin)
	defer pool.Release()
	_, err := pool.Ready(ctx, d.dialectOf(plugin, k))
	if err == nil {
		return nil
	}
	if _, forgotten := errors.AsType[*fleet.UnknownPluginError](err); forgotten {
		return unknown{err}
	}
	err = notDispensed(ctx, method, d.notFound(plugin, err))
	d.metrics.calls(plugin, k.name).Called(stub.Call{Method: method, Took: time.Since(began), Err: err})
	return err
}

// notFound adds to the error of a call of a plugin that was not found which source may yet know
// it, if one has not told what it knows.
func (d *Daemon) notFound(plugin string, err error) error {
	if _, known := d.fleet.Plugin(plugin); known {
		return err
	}
	if missing := d.Unsynced(); len(missing) > 0 {
		first, _, _ := strings.Cut(missing[0], "\n")
		err = fmt.Errorf("%w; %s", err, first)
	}
	return err
}

// notDispensed gives the error of a call for which there is no stub yet, or no endpoint:
// it surely was not sent.
func notDispensed(ctx context.Context, method string, err error) error {
	_, none := errors.AsType[*fleet.NotReadyError](err)
	switch {
	case err == nil, errors.Is(err, ErrUnknown):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return &stub.Fault{Reason: stub.ReasonCaller, Method: method, Err: fmt.Errorf("%w: %w", ctx.Err(), err)}
	case none, errors.Is(err, ErrStopped):
		return &stub.Fault{Reason: stub.ReasonUnavailable, Method: method, Err: err}
	}
	return err
}

// abandoned gives the error of a call that the stub was not waited for, or whose glue
// hid what the stub said. The call may be under way still, so it may have run.
func abandoned(ctx context.Context, method string, err error) error {
	ended := ctx.Err()
	_, told := stub.Cause(err)
	if told || ended == nil || !errors.Is(err, ended) && !errors.Is(err, context.Cause(ctx)) {
		return err
	}
	f := &stub.Fault{Reason: stub.ReasonCaller, Method: method, MayHaveRun: true, Err: err}
	if errors.Is(context.Cause(ctx), stub.ErrTimeout) {
		f.Reason = stub.ReasonTimeout
	} else if !errors.Is(err, ended) {
		f.Err = fmt.Errorf("%w: %w", ended, err)
	}
	return f
}

// lateness is how much longer than the deadline a method without a context may
// take. The stub began to count a little later than the caller of callWithin, and it
// alone knows whether an endpoint had the call.
const lateness = 250 * time.Millisecond

// callWithin returns when the method has, or ctx has ended. It calls returned when the
// method has. carries says that ctx ends the call.
func (m *method) callWithin(ctx context.Context, impl any, values []reflect.Value, carries bool, returned func()) (json.RawMessage, error) {
	if carries {
		defer returned()
		return m.invoke(ctx, impl, values)
	}
	// The method cannot be told to give up, but its caller may: the stub ends the
	// call at the method's own timeout.
	type answer struct {
		result json.RawMessage
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		result, err := m.invoke(ctx, impl, values)
		returned()
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		return a.result, a.err
	case <-ctx.Done():
	}
	patience := time.Duration(0)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		patience = lateness
	}
	select {
	case a := <-answered:
		return a.result, a.err
	case <-time.After(patience):
		return nil, context.Cause(ctx)
	}
}
