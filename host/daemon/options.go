// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/host/target"
)

// Options configures a Daemon. Begin with [DefaultOptions]; Handshake and Kinds
// must be set, and something that finds plugins: PluginDir, NetworkPlugins,
// NetworkPluginDir or Sources. Times that DefaultOptions gives must be above zero.
type Options struct {
	// Handshake is what the plugins were built with. The magic cookie must be set.
	Handshake plugin.HandshakeConfig
	// Kinds are the interfaces that the daemon knows.
	Kinds []Kind
	// Versions gives the kinds of each app version that the daemon speaks, from
	// the set that Kinds make. Nil is that set as version
	// Handshake.ProtocolVersion. go-plugin speaks gRPC in a version whose values
	// all implement plugin.GRPCPlugin, and net/rpc in any other. A kind that
	// differs between versions, in its value or by the protocol, needs [WithSwitch].
	Versions func(plugin.PluginSet) map[int]plugin.PluginSet

	// PluginDir is a directory of executables (*.po), which are started as
	// children, and of shared objects (*.so), or a list of directories as
	// filepath.SplitList reads it. Empty means none.
	PluginDir string
	// NetworkPlugins is a comma list as static.Parse reads it, such as
	// "store=10.0.0.7:7000,dns:///greeter:7000". Empty means none.
	NetworkPlugins string
	// NetworkPluginDir is a directory of unix sockets (*.sock) that network plugins
	// serve on. Empty means none.
	NetworkPluginDir string
	// Sources find plugins in further places. Nil is none.
	Sources []discovery.Source
	// Required are the names of plugins without which the daemon is not ready. Nil is none.
	Required []string

	// TLS names the files of the host's identity and of the CA that vouches for
	// network plugins. Without them network plugins are reached by plain TCP.
	TLS tlsfile.Files
	// PlainPlugins are the names of plugins that may speak plain TCP although TLS
	// is configured. Nil is none.
	PlainPlugins []string
	// ChildEnv is added to the environment of children, as "NAME=value". Nil adds
	// nothing.
	ChildEnv []string
	// Dialers replace those of the daemon by placement, or add one: this is how
	// shared objects are turned on. New makes each once, with the contract that all
	// of them share; if a kind without a switch may meet several protocols or versions,
	// once more for each, with that part of the contract.
	Dialers map[target.Placement]func(attach.Contract) (conn.Dialer, error)
	// Balancer says which of several ready endpoints gets a call: by DefaultOptions
	// balancer.LeastRequest, and balancer.RoundRobin if zero.
	Balancer balancer.Options

	// CallTimeout bounds each call of a kind that has no timeout of its own: 30 s by
	// DefaultOptions. Zero is refused.
	CallTimeout time.Duration
	// MaxMessageBytes bounds one message to a plugin or from it: 64 MiB if zero, and
	// none if negative. A message that is larger is an error of its call.
	MaxMessageBytes int
	// AttachTimeout bounds starting or reaching an endpoint once: 10 s by DefaultOptions.
	// Zero is refused.
	AttachTimeout time.Duration
	// DrainTimeout bounds how long calls may take to finish when the daemon ends,
	// and when an endpoint leaves: 20 s by DefaultOptions. StopTimeout bounds whatever else
	// ends then: 10 s. Zero is refused.
	DrainTimeout, StopTimeout time.Duration

	// OnReady is called each time a plugin became ready that was not: it has its
	// first endpoint that takes calls. It runs in a goroutine of its own, which
	// Run waits for; ctx ends when the daemon is told to end. Nil calls nothing.
	OnReady func(ctx context.Context, d *Daemon, plugin string)
	// Tracer follows the calls, such as one of package host/tracing. Nil follows none. One
	// that is a CallbackTracer follows what plugins call back as well.
	Tracer stub.Tracer
	// Logger takes what happens. Nil discards it.
	Logger hclog.Logger
	// Registerer takes the metrics. Nil keeps none.
	Registerer prometheus.Registerer
}

// CallbackTracer is a stub.Tracer that follows the calls of plugins to this host as well.
type CallbackTracer interface {
	stub.Tracer
	// Callbacks gives what runs each of them.
	Callbacks() plugin.Around
}

// DefaultOptions gives what suits most: the numbers that the fields name. Calls go to the less
// busy of two endpoints: an endpoint that hangs then holds up a few callers, where round robin
// would send it every caller in turn.
func DefaultOptions() Options {
	return Options{
		Balancer:      balancer.Options{Policy: balancer.LeastRequest},
		CallTimeout:   30 * time.Second,
		AttachTimeout: 10 * time.Second,
		DrainTimeout:  20 * time.Second,
		StopTimeout:   10 * time.Second,
	}
}

// validate says what is wrong, naming each field.
func (o *Options) validate() error {
	var errs []error
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	if o.Handshake.MagicCookieKey == "" || o.Handshake.MagicCookieValue == "" {
		errs = append(errs, errors.New("option Handshake: MagicCookieKey and MagicCookieValue must be those of the plugins"))
	}
	if len(o.Kinds) == 0 {
		errs = append(errs, errors.New("option Kinds is empty: name the interfaces that plugins serve"))
	}
	seen := make(map[string]bool)
	for _, k := range o.Kinds {
		switch {
		case k.err != nil:
			errs = append(errs, fmt.Errorf("option Kinds: %w", k.err))
		case k.iface == nil:
			errs = append(errs, errors.New("option Kinds: a kind was not made by NewKind"))
		case seen[k.name]:
			errs = append(errs, fmt.Errorf("option Kinds: kind %q is named twice", k.name))
		}
		seen[k.name] = true
	}
	if o.PluginDir == "" && o.NetworkPlugins == "" && o.NetworkPluginDir == "" && len(o.Sources) == 0 {
		errs = append(errs, errors.New("options PluginDir, NetworkPlugins, NetworkPluginDir and Sources are all empty: nothing finds a plugin"))
	}
	for _, name := range o.Required {
		if err := target.ValidateName(name); err != nil {
			errs = append(errs, fmt.Errorf("option Required: %w", err))
		}
	}
	return errors.Join(append(errs, o.validateTimes())...)
}

func (o *Options) validateTimes() error {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"CallTimeout", o.CallTimeout}, {"AttachTimeout", o.AttachTimeout},
		{"DrainTimeout", o.DrainTimeout}, {"StopTimeout", o.StopTimeout},
	} {
		if field.value <= 0 {
			return fmt.Errorf("option %s %s: must be above zero; DefaultOptions has a good value", field.name, field.value)
		}
	}
	return nil
}

// AllVersions gives the kinds of each version, as every dialer and stub sees them.
func (o *Options) AllVersions() (map[int]plugin.PluginSet, error) {
	set := make(plugin.PluginSet, len(o.Kinds))
	for _, k := range o.Kinds {
		set[k.name] = k.plugin
	}
	if o.Versions == nil {
		return map[int]plugin.PluginSet{int(o.Handshake.ProtocolVersion): set}, nil
	}
	all := o.Versions(set)
	if len(all) == 0 {
		return nil, errors.New("option Versions gives no version: there is nothing to agree on")
	}
	for version, kinds := range all {
		for name := range kinds {
			if _, ok := set[name]; !ok {
				return nil, fmt.Errorf("option Versions: version %d has kind %q, which is not in Kinds", version, name)
			}
		}
	}
	return all, nil
}
