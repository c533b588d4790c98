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
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/stub"
)

// Kind is an interface that plugins may serve, by its dispense name. [NewKind]
// makes it; a mistake in it is reported by [New].
type Kind struct {
	name    string
	iface   reflect.Type
	plugin  plugin.Plugin
	methods map[string]*method
	timeout time.Duration
	options map[string]stub.CallOptions
	// affinity and replay are for plugins that remember what they were told.
	affinity bool
	replay   []string
	params   map[string][]string
	route    func(pick func() any) any
	wire     []wireMethod
	// described are the methods of a kind without an interface of its own.
	described []Method
	err       error
}

// KindOption changes a Kind while it is made.
type KindOption func(*Kind)

// WithMethod declares how one method of the interface is called, by its Go name.
func WithMethod(name string, o stub.CallOptions) KindOption {
	return func(k *Kind) { k.options[name] = o }
}

// WithParams names the parameters of one method, in order, without a leading
// context. Go does not keep these names; callers that speak JSON may then give
// the arguments as an object instead of an array.
func WithParams(method string, names ...string) KindOption {
	return func(k *Kind) { k.params[method] = names }
}

// wireMethod is how a method travels over one protocol.
type wireMethod struct {
	protocol string
	conn.Method
}

// WithWire declares how a method travels over a protocol, "netrpc" or "grpc": the
// types of its argument and its answer as plugins spell them when they attach, such
// as "map[string]interface {}" or "store.v1.GetRequest". A plugin that spells them
// otherwise gets a warning. Without it only missing methods are noticed.
func WithWire(protocol, method, args, reply string) KindOption {
	return func(k *Kind) {
		k.wire = append(k.wire, wireMethod{protocol, conn.Method{Name: method, Args: args, Reply: reply}})
	}
}

// WithTimeout bounds each call of a method that declares no timeout of its own.
// The daemon's CallTimeout is used without it.
func WithTimeout(d time.Duration) KindOption {
	return func(k *Kind) { k.timeout = d }
}

// WithSwitch lets one dispensed value reach endpoints of different protocols. adapt
// returns a T that asks pick, for each call, for the stub to use. Without a switch
// a dispensed value keeps to the protocol of the session that it was dispensed from.
// The plugin's sessions then speak that one where the plugin can, and an endpoint that
// cannot takes no calls of the kind. Let the T be a pointer, as that of
// commons.SwitchGreeter is: callers may compare what they dispense.
func WithSwitch[T any](adapt func(pick func() T) T) KindOption {
	return func(k *Kind) {
		if want := reflect.TypeFor[T](); want != k.iface {
			k.fail("WithSwitch adapts %s, which is not its interface %s", want, k.iface)
			return
		}
		k.route = func(pick func() any) any {
			return adapt(func() T { return pick().(T) })
		}
	}
}

// NewKind returns the kind that plugins serve under name as the interface T. p
// carries it between processes, as go-plugin wants it. The methods of T that JSON
// can carry are callable by [Daemon.Call]: a leading context.Context and a trailing
// error are the call's own, all else is arguments and results.
func NewKind[T any](name string, p plugin.Plugin, options ...KindOption) Kind {
	return newKind(Kind{name: name, iface: reflect.TypeFor[T](), plugin: p}, options)
}

// Invoker is what stands for a kind whose interface the program does not have.
type Invoker interface {
	// Invoke calls a method with arguments in JSON, and gives its result, both as
	// [Daemon.Call] has them. An error of arguments that do not fit matches [ErrArguments],
	// one of a method that there is not [ErrUnknown], and one of a method that JSON cannot
	// carry [ErrNotCallable]; nothing was sent then. Any goroutine may call it.
	Invoke(ctx context.Context, method string, args json.RawMessage) (json.RawMessage, error)
}

// NewDescribedKind returns the kind that plugins serve under name as an interface that this
// program does not have: p makes an [Invoker] of it. Its methods are described as
// [Daemon.Kinds] shows them; what options say of calls takes the place of what they say.
func NewDescribedKind(name string, p plugin.Plugin, methods []Method, options ...KindOption) Kind {
	return newKind(Kind{name: name, iface: reflect.TypeFor[Invoker](), plugin: p, described: methods}, options)
}

func newKind(k Kind, options []KindOption) Kind {
	k.options, k.params = make(map[string]stub.CallOptions), make(map[string][]string)
	switch {
	case k.name == "":
		k.fail("name is empty")
	case k.plugin == nil:
		k.fail("plugin.Plugin is nil")
	case k.iface.Kind() != reflect.Interface || k.iface.NumMethod() == 0:
		k.fail("%s is not an interface with methods", k.iface)
	}
	for _, o := range options {
		o(&k)
	}
	k.setReplay()
	if k.err == nil {
		k.describe()
	}
	return k
}

// Name is the name that the kind is dispensed by.
func (k Kind) Name() string { return k.name }

// Plugin is what carries the kind between processes.
func (k Kind) Plugin() plugin.Plugin { return k.plugin }

func (k *Kind) fail(format string, args ...any) {
	k.err = errors.Join(k.err, fmt.Errorf("kind %q: %w", k.name, fmt.Errorf(format, args...)))
}

// describe reads the interface's methods and sets what the options say of them.
func (k *Kind) describe() {
	k.methods = make(map[string]*method, k.iface.NumMethod())
	if k.described == nil {
		for m := range k.iface.Methods() {
			if m.IsExported() {
				k.methods[m.Name] = newMethod(m)
			}
		}
	}
	for _, m := range k.described {
		k.methods[m.Name] = &method{name: m.Name, hasCtx: true, uncarried: m.NotCallable, described: &m}
	}
	for _, name := range slices.Sorted(maps.Keys(k.options)) {
		if k.methods[name] == nil {
			k.fail("option for method %s, which %s does not have", name, k.iface)
			continue
		}
		switch o := k.options[name]; {
		case o.Timeout < 0:
			k.fail("method %s: Timeout is below zero", name)
		case o.Repeats < stub.NoRepeats:
			k.fail("method %s: Repeats is %d; stub.NoRepeats is none", name, o.Repeats)
		case o.Repeats > 0 && !o.Idempotent:
			k.fail("method %s: Repeats is %d, and the method is not Idempotent", name, o.Repeats)
		case o.Stream && o.Replay:
			k.fail("method %s: a Stream cannot be a Replay", name)
		case o.Stream && o.Idempotent && o.Repeats > 0:
			k.fail("method %s: Repeats is %d, and a Stream is not repeated once it is open", name, o.Repeats)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.params)) {
		m := k.methods[name]
		switch {
		case m == nil:
			k.fail("names for the parameters of %s, which %s does not have", name, k.iface)
		case len(k.params[name]) != len(m.params):
			k.fail("%d names for the %d parameters of %s", len(k.params[name]), len(m.params), name)
		default:
			m.names = k.params[name]
		}
	}
	for _, w := range k.wire {
		if k.methods[w.Name] == nil {
			k.fail("wire of method %s, which %s does not have", w.Name, k.iface)
		}
	}
	if k.timeout < 0 {
		k.fail("timeout is below zero")
	}
}

// Options implements stub.Methods.
func (k *Kind) Options(method string) stub.CallOptions {
	o := k.options[method]
	if o.Timeout == 0 {
		o.Timeout = k.timeout
	}
	return o
}

// list gives the methods in the order of their names.
func (k *Kind) list() []Method {
	all := make([]Method, 0, len(k.methods))
	for _, name := range slices.Sorted(maps.Keys(k.methods)) {
		m := k.methods[name].describe()
		o := k.Options(name)
		m.Idempotent, m.Repeats, m.Stream = o.Idempotent, o.MaxRepeats(), o.Stream
		if !o.Stream {
			m.Timeout = o.Timeout.String()
		}
		all = append(all, m)
	}
	return all
}
