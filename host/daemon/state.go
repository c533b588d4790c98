// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"slices"
	"strings"

	"github.com/reattach/reattach/host/stub"
)

// WithAffinity keeps the calls of the kind with one endpoint for as long as its session
// lasts: the plugin remembers what it was told, and another endpoint was told nothing.
// When the session ends, calls fail with stub.ErrAffinityLost until the kind is dispensed
// again, as the calls of a child that has crashed do. See stub.State.
func WithAffinity() KindOption { return func(k *Kind) { k.affinity = true } }

// WithReplay has the last request of each of these methods that a plugin has accepted
// sent to every other endpoint before its first other call, so that it does not matter
// which of them has a call, nor whether it was restarted. It is for methods that
// configure, and that do no harm when each endpoint is told once. See stub.State.
func WithReplay(methods ...string) KindOption {
	return func(k *Kind) { k.replay = append(k.replay, methods...) }
}

// setReplay makes what WithReplay says part of the methods' options.
func (k *Kind) setReplay() {
	for _, name := range k.replay {
		o := k.options[name] // a method that does not exist is found by describe
		o.Replay = true
		k.options[name] = o
	}
}

// state says how calls are routed of a plugin that remembers something: as the kind was
// made, or as whoever deployed the plugin has declared.
func (d *Daemon) state(config *stub.Config, plugin string, k *Kind, dialect string) {
	declared := d.fleet.Declared(plugin)
	config.Affinity = k.affinity || declared.Affinity
	config.Methods = k
	if declared.Replay != "" {
		config.Methods = replaying{k, strings.Split(declared.Replay, ",")}
	}
	if !config.Affinity && declared.Replay == "" && !k.replays() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hold(plugin)
	if h.states[dialect] == nil {
		h.states[dialect] = stub.NewState()
	}
	config.State = h.states[dialect]
}

// replays reports whether a method's own options say so.
func (k *Kind) replays() bool {
	for _, o := range k.options {
		if o.Replay {
			return true
		}
	}
	return false
}

// replaying adds the methods that a deployment has declared.
type replaying struct {
	*Kind
	methods []string
}

// Options implements stub.Methods.
func (r replaying) Options(method string) stub.CallOptions {
	o := r.Kind.Options(method)
	o.Replay = o.Replay || slices.Contains(r.methods, method)
	return o
}

// renew lets a plugin's calls choose an endpoint anew where the one was lost that they
// kept to: whoever dispenses a kind has told the plugin nothing yet.
func (d *Daemon) renew(plugin string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.heldNow(plugin).states {
		s.Renew()
	}
}
