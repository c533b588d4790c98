// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	dial "github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
)

// remote is the plugin on the network: its endpoints, kept attached.
type remote struct {
	opts    Options
	broker  *plugin.SharedBroker // that all sessions join
	stdout  output
	stderr  output
	fleet   *fleet.Fleet
	pool    *fleet.Pool
	find    *discovery.Manager
	dialers atomic.Pointer[dialers]
	spoken  string          // the dialect that was agreed on with the first endpoint
	atOnce  context.Context // has ended: a pick with it does not wait

	cancel context.CancelFunc
	ended  chan error // of the fleet and of what finds endpoints, one value each
}

// tasks is how many values remote.ended gets.
const tasks = 2

// newRemote starts nothing.
func newRemote(o Options) (*remote, error) {
	r := &remote{opts: o, broker: plugin.NewSharedBroker(o.Wait, o.Logger), ended: make(chan error, tasks)}
	r.broker.MaxMessageBytes = o.MaxMessageBytes
	if t, ok := o.Tracer.(interface{ Callbacks() plugin.Around }); ok {
		r.broker.Around = t.Callbacks()
	}
	atOnce, ended := context.WithCancel(context.Background())
	ended()
	r.atOnce = atOnce
	if err := r.speak(o.Versions, o.Protocols); err != nil {
		return nil, err
	}
	var err error
	if r.find, err = discovery.NewManager(discovery.Options{Sources: o.Sources, Logger: o.Logger.Named("discovery")}); err != nil {
		return nil, err
	}
	r.fleet, err = fleet.New(fleet.Options{
		Dialers: map[target.Placement]conn.Dialer{target.Network: conn.DialerFunc(
			func(ctx context.Context, e target.Endpoint) (conn.Session, error) {
				return r.dialers.Load().Dial(ctx, e)
			})},
		Balancer:     o.Balancer,
		Dialect:      dialectOf,
		DrainTimeout: leaveWithin,
		CloseTimeout: leaveWithin,
		Logger:       o.Logger,
		Conn:         conn.Options{DialTimeout: o.AttachTimeout, DrainTimeout: o.DrainTimeout},
	})
	if err != nil {
		return nil, err
	}
	r.pool = r.fleet.Pool(o.Plugin)
	return r, nil
}

// leaveWithin bounds how long the end of the process waits for calls, which nobody
// waits for any more, and for the sessions.
const leaveWithin = 2 * time.Second

// speak says what the sessions that are made from now on may agree on. Each protocol is
// tried by itself: over net/rpc a session must give the connections of its kinds.
func (r *remote) speak(versions []int, protocols []plugin.Protocol) error {
	if len(protocols) == 0 {
		protocols = []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC}
	}
	all := make(map[int]plugin.PluginSet, len(versions))
	for _, v := range versions {
		all[v] = plugin.PluginSet{plugin.AnyKind: &grpcShim{}} // no kind of it is dispensed
	}
	var each dialers
	for _, p := range protocols {
		d, err := dial.Network(dial.NetworkOptions{
			Contract: dial.Contract{
				Handshake: r.opts.Handshake, Versions: all, Protocols: []plugin.Protocol{p},
				Broker: func(string) *plugin.SharedBroker { return r.broker },
			},
			TLS: r.opts.TLS, PlainPlugins: r.opts.PlainPlugins,
			Timeout: r.opts.AttachTimeout, MaxMessageBytes: r.opts.MaxMessageBytes, Logger: r.opts.Logger,
			Admit: r.opts.Pin.admit, RawRPC: p == plugin.ProtocolNetRPC,
			Stdout: &r.stdout, Stderr: &split{log: r.opts.Log, out: &r.stderr},
		})
		if err != nil {
			return err
		}
		each = append(each, d)
	}
	r.dialers.Store(&each)
	return nil
}

// dialers are tried in their order, until one speaks what the plugin does.
type dialers []conn.Dialer

// Dial implements conn.Dialer.
func (d dialers) Dial(ctx context.Context, e target.Endpoint) (session conn.Session, err error) {
	for _, one := range d {
		if session, err = one.Dial(ctx, e); err == nil || !dial.SpeaksOtherwise(err) {
			break
		}
	}
	return session, err
}

// dialectOf names what a session speaks, as "grpc v5": the host knows one dialect for as
// long as it runs, and other endpoints get none of its calls.
func dialectOf(info conn.Info) string { return fmt.Sprintf("%s v%d", info.Protocol, info.Version) }

// start keeps the endpoints attached until close. It waits for a first one, and gives
// what was agreed on there.
func (r *remote) start(ctx context.Context) (conn.Info, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.cancel = cancel
	go func() { r.ended <- r.find.Run(running) }()
	go func() { r.ended <- r.fleet.Run(running, r.find.Sets()) }()
	within, done := context.WithTimeoutCause(ctx, r.opts.AttachTimeout, fmt.Errorf("none within %v", r.opts.AttachTimeout))
	defer done()
	info, err := r.pool.Ready(within, "")
	if err != nil {
		return info, err
	}
	r.spoken = dialectOf(info)
	if err := r.speak([]int{info.Version}, []plugin.Protocol{plugin.Protocol(info.Protocol)}); err != nil {
		return info, err
	}
	r.pool.Renew(func(i conn.Info) bool { return dialectOf(i) != r.spoken })
	return info, nil
}

// awaited says what reach waits for, for people: a source, or an endpoint. It waits until there
// is something to say, or until ctx ends, and gives nothing then.
func (r *remote) awaited(ctx context.Context) string {
	if missing := r.find.Unsynced(); len(missing) > 0 {
		return missing[0]
	}
	for generation := uint64(0); ; {
		view, err := r.fleet.Wait(ctx, generation)
		if err != nil {
			return ""
		}
		generation = view.Generation
		if said := awaitedOf(view, r.opts.Plugin); said != "" {
			return "plugin " + r.opts.Plugin + said
		}
	}
}

// awaitedOf says what is waited for of a plugin.
func awaitedOf(view fleet.View, plugin string) (said string) {
	var p fleet.PluginStatus // which has no endpoint if no source knows it
	if i := slices.IndexFunc(view.Plugins, func(p fleet.PluginStatus) bool { return p.Name == plugin }); i >= 0 {
		p = view.Plugins[i]
	}
	if view.Synced && len(p.Endpoints) == 0 {
		return ": " + unfound(view, plugin)
	}
	for _, e := range p.Endpoints {
		switch {
		case e.State == conn.Ready:
			return " to say what its methods are"
		case e.LastError != "":
			said = fmt.Sprintf(": %s: %s", e.Endpoint.ID, e.LastError)
		case e.State == conn.Connecting && said == "":
			said = fmt.Sprintf(": %s to %s", e.State, e.Endpoint.ID)
		}
	}
	return said
}

// unfound says why a plugin has no endpoint, in the words of the command line.
func unfound(view fleet.View, plugin string) string {
	if i := slices.IndexFunc(view.Problems, func(p target.Problem) bool { return p.Plugin == plugin }); i >= 0 {
		return view.Problems[i].String()
	}
	return "no endpoint"
}

// printTo sends the host what the plugin prints.
func (r *remote) printTo(stdout, stderr io.Writer) {
	r.stdout.start(stdout)
	r.stderr.start(stderr)
}

// close detaches from all endpoints, which live on.
func (r *remote) close() error {
	r.cancel()
	err := errors.Join(<-r.ended, <-r.ended)
	r.broker.Close()
	return err
}

// Pick implements balancer.Router. A call waits for an endpoint as long as Options.Wait
// says.
func (r *remote) Pick(ctx context.Context, _ string, tried []string) (balancer.Lease, error) {
	if lease, err := r.pool.Pick(r.atOnce, r.spoken, tried); err == nil {
		return lease, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.opts.Wait, fmt.Errorf("none within %v", r.opts.Wait))
	defer cancel()
	return r.pool.Pick(ctx, r.spoken, tried)
}
