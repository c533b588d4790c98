// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/host/target"
)

// Daemon finds plugins, keeps them attached and routes calls to them. All its
// methods may be called from any goroutine; calls wait until Run has found an
// endpoint for them.
type Daemon struct {
	opts     Options
	log      hclog.Logger
	kinds    map[string]*Kind
	versions map[int]plugin.PluginSet
	dialects dialects
	manager  *discovery.Manager
	fleet    *fleet.Fleet
	metrics  *metrics
	started  atomic.Bool

	// life is what stubs of gRPC live in; it ends when Run returns.
	life context.Context
	end  context.CancelFunc
	// atOnce has ended: a pick with it takes what is ready, and does not wait.
	atOnce context.Context

	mu      sync.Mutex
	plugins map[string]*held
	ended   bool // Run has returned
}

// New makes a daemon and starts nothing. Whatever can be wrong with the options is
// found here: fields, files of TLS, lists of addresses, names of metrics.
func New(opts Options) (*Daemon, error) {
	d, err := newDaemon(opts)
	if err != nil {
		return nil, fmt.Errorf("make daemon: %w", err)
	}
	return d, nil
}

func newDaemon(opts Options) (*Daemon, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if err := stub.CheckNetRPC(); err != nil {
		return nil, err
	}
	d := &Daemon{
		opts: opts, log: opts.Logger, kinds: make(map[string]*Kind), plugins: make(map[string]*held),
	}
	d.life, d.end = context.WithCancel(context.Background())
	atOnce, ended := context.WithCancel(context.Background())
	ended()
	d.atOnce = atOnce
	for i := range opts.Kinds {
		k := opts.Kinds[i]
		if k.timeout == 0 {
			k.timeout = opts.CallTimeout
		}
		d.kinds[k.name] = &k
	}
	var err error
	if d.versions, err = opts.AllVersions(); err != nil {
		return nil, err
	}
	d.dialects = newDialects(d.versions)
	if err := d.dialects.check(opts.Kinds); err != nil {
		return nil, err
	}
	sources, err := opts.sources()
	if err != nil {
		return nil, err
	}
	d.manager, err = discovery.NewManager(discovery.Options{Sources: sources, Logger: opts.Logger.Named("discovery")})
	if err != nil {
		return nil, err
	}
	dialers, err := d.dialers()
	if err != nil {
		return nil, err
	}
	d.metrics = newMetrics(func(plugin string) bool { return d.fleet.Knows(plugin) })
	if d.fleet, err = d.newFleet(dialers); err != nil {
		return nil, err
	}
	if opts.Registerer != nil {
		if err := d.metrics.register(opts.Registerer, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// newFleet gives the fleet whose conns the daemon checks, and which reports to its metrics.
func (d *Daemon) newFleet(dialers map[target.Placement]conn.Dialer) (*fleet.Fleet, error) {
	return fleet.New(fleet.Options{
		Dialers:      dialers,
		Balancer:     d.opts.Balancer,
		Dialect:      d.dialects.of,
		DrainTimeout: d.opts.DrainTimeout,
		CloseTimeout: d.opts.StopTimeout,
		Logger:       d.opts.Logger,
		Conn: conn.Options{
			DialTimeout:  d.opts.AttachTimeout,
			DrainTimeout: d.opts.DrainTimeout,
			Check:        d.check,
			Observe:      d.metrics.observe,
		},
	})
}

// Run finds plugins and keeps them attached until ctx ends. Then it stops in order:
// it looks for plugins no more, takes no new calls and lets those in flight finish,
// closes the sessions (which stops children, and detaches from all else), and waits
// for the hooks. Each step has a deadline, and the error names what did not end.
// Run can be called once.
func (d *Daemon) Run(ctx context.Context) error {
	if d.started.Swap(true) {
		return errors.New("run daemon: Run was called before")
	}
	defer d.end()
	defer d.releaseAll()
	run := context.WithoutCancel(ctx)
	finding, stopFinding := context.WithCancel(run)
	attached, detach := context.WithCancel(run)
	hooks, stopHooks := context.WithCancel(run)
	defer stopFinding()
	defer detach()
	defer stopHooks()

	found := begin(func() error { return d.manager.Run(finding) })
	fleet := begin(func() error { return d.fleet.Run(attached, d.manager.Sets()) })
	followed := begin(func() error { return d.follow(hooks) })
	released := begin(func() error { return d.releaseUnknown(hooks) })
	remembered := begin(func() error { return d.metrics.history.Run(hooks) })
	<-ctx.Done()
	d.log.Debug("daemon stops")

	stopHooks()
	stopFinding()
	err := found.within("stop discovery", d.opts.StopTimeout)
	detach()
	// The fleet has deadlines of its own; this one is for what they miss.
	err = errors.Join(err, fleet.within("stop sessions", d.opts.DrainTimeout+2*d.opts.StopTimeout))
	err = errors.Join(err, followed.within("stop hooks", d.opts.StopTimeout))
	err = errors.Join(err, released.within("stop releasing stubs", d.opts.StopTimeout))
	err = errors.Join(err, remembered.within("stop the history of calls", d.opts.StopTimeout))
	if err != nil {
		return fmt.Errorf("stop daemon: %w", err)
	}
	return nil
}

// task is something that runs while Run waits.
type task struct {
	done chan struct{}
	err  error
}

func begin(run func() error) *task {
	t := &task{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = run()
	}()
	return t
}

// within waits for the task's end. The error names the step.
func (t *task) within(step string, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.done:
	case <-timer.C:
		return fmt.Errorf("%s: not done within %s", step, d)
	}
	if t.err != nil {
		return fmt.Errorf("%s: %w", step, t.err)
	}
	return nil
}
