// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/dynamic"
	"github.com/reattach/reattach/host/stub"
)

const (
	// spare is how much longer than ATTACH_TIMEOUT a command waits for what came of
	// the attempts that this bounds.
	spare = 5 * time.Second
	// leaveWithin bounds how long calls that were given up hold up the end of a command.
	leaveWithin = time.Second
)

// errEnded is of a daemon whose Run has returned; Close says why.
var errEnded = errors.New("the daemon has ended")

// local is a daemon that lives for one command.
type local struct {
	d      *daemon.Daemon
	c      *config
	cancel context.CancelFunc
	ended  chan error
}

func (c *config) newLocal(ctx context.Context, stderr io.Writer) (*local, error) {
	if err := c.settlePlaces(); err != nil {
		return nil, err
	}
	if _, asked := os.LookupEnv("LOG_LEVEL"); !asked {
		c.LogLevel = "off" // the answer says what went wrong
	}
	o, err := c.daemonOptions(stderr)
	if err != nil {
		return nil, err
	}
	o.DrainTimeout = min(o.DrainTimeout, leaveWithin)
	stop, err := c.follow(&o)
	if err != nil {
		return nil, err
	}
	d, _, err := c.newDaemon(o)
	if err != nil {
		stop()
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &local{d: d, c: c, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		err := d.Run(running)
		stop()
		l.ended <- err
	}()
	return l, nil
}

// newDaemon makes a daemon of options and of what the finders add. The caller has the
// finders that are in use follow it.
func (c *config) newDaemon(o daemon.Options) (*daemon.Daemon, []Finder, error) {
	var used []Finder
	for _, f := range c.program.Finders {
		if !f.Wanted() {
			continue
		}
		source, err := f.Source(o.Logger)
		if err != nil {
			return nil, nil, &failure{exitUsage, err}
		}
		o.Sources = append(o.Sources, source)
		used = append(used, f)
	}
	d, err := daemon.New(o)
	if err != nil {
		return nil, nil, &failure{exitUsage, err}
	}
	return d, used, nil
}

// Close implements client.
func (l *local) Close() error {
	l.cancel()
	return <-l.ended
}

// Plugins implements client: it waits until every endpoint has been tried.
func (l *local) Plugins(ctx context.Context) (found, error) {
	return l.once(ctx, func(plugins []daemon.Plugin) bool {
		return !slices.ContainsFunc(plugins, unsettled)
	})
}

// once gives what was found as soon as done says that it is enough.
func (l *local) once(ctx context.Context, done func([]daemon.Plugin) bool) (found, error) {
	within, cancel := context.WithTimeout(ctx, l.c.AttachTimeout+spare)
	defer cancel()
	changes := l.d.Subscribe(64)
	defer changes.Close()
	if err := l.d.Synced(within); err != nil {
		return l.found(), &failure{exitUnreachable, err}
	}
	for {
		if now := l.found(); done(now.Plugins) {
			return now, nil
		}
		select {
		case _, open := <-changes.C():
			if !open {
				return l.found(), errEnded
			}
		case <-within.Done():
			return l.found(), ctx.Err()
		}
	}
}

func (l *local) found() found { return found(l.d.Found()) }

// unsettled reports whether an endpoint has not come to anything.
func unsettled(p daemon.Plugin) bool {
	return slices.ContainsFunc(p.Endpoints, func(e daemon.Endpoint) bool {
		return e.State == conn.Idle || e.State == conn.Connecting && e.Failures == 0
	})
}

// Kinds implements client.
func (l *local) Kinds(context.Context) ([]daemon.KindInfo, error) { return l.d.Kinds(), nil }

// Describe implements client. A program for any plugin asks the plugin.
func (l *local) Describe(ctx context.Context, plugin string) (kinds []daemon.KindInfo, note string, err error) {
	now, err := l.attached(ctx, plugin)
	if err != nil {
		return nil, "", err
	}
	if known := l.d.Kinds(); len(known) > 1 || known[0].Name != anyKind {
		return servedBy(now, plugin, known)
	}
	within, cancel := context.WithTimeout(ctx, l.c.CallTimeout)
	defer cancel()
	kinds, err = dynamic.Describe(within, l.d, plugin, anyKind)
	if err != nil {
		return nil, "", &failure{codeOf(err), err}
	}
	if kinds != nil {
		return kinds, "", nil
	}
	for _, k := range l.d.Serves(plugin) {
		info := daemon.KindInfo{Name: k.Name}
		for _, m := range k.Methods {
			info.Methods = append(info.Methods, daemon.Method{
				Name: m.Name, Signature: fmt.Sprintf("%s(%s) %s", m.Name, m.Args, m.Reply),
				NotCallable: "net/rpc does not tell what is within these types: a contract does",
			})
		}
		kinds = append(kinds, info)
	}
	return kinds, "", nil
}

// LookBack implements client: it waits until every endpoint has been tried.
func (l *local) LookBack(ctx context.Context) (lookBack, error) {
	if _, err := l.Plugins(ctx); err != nil {
		return lookBack{}, err
	}
	now, past := l.d.Look()
	return lookBack{found(now), past}, nil
}

// Events implements client.
func (l *local) Events(ctx context.Context, list func(lookBack) error, show func(daemon.Event) error) error {
	changes := l.d.Subscribe(1024) // first, so that nothing is lost between the two
	defer changes.Close()
	shown := uint64(0)
	look := func() error {
		now, past := l.d.Look()
		shown = now.Generation
		return list(lookBack{found(now), past})
	}
	_, err := l.Plugins(ctx)
	if err == nil {
		err = look()
	}
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-changes.C():
			if !open {
				return errEnded
			}
			if e.Generation > shown {
				err = show(e)
			}
			if err == nil && changes.CatchUp() {
				err = look()
			}
		}
	}
	return err
}

// Watch implements client.
func (l *local) Watch(ctx context.Context, show func(found) error) error {
	changes := l.d.Subscribe(64)
	defer changes.Close()
	within, cancel := context.WithTimeout(ctx, l.c.AttachTimeout+spare)
	defer cancel()
	_ = l.d.Synced(within) // what cannot be used makes no event
	for {
		if err := show(l.found()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changes.C():
			if !open {
				return errEnded
			}
		}
	}
}

// attached waits for a plugin, but not for one that could not be reached by now: whoever
// typed the command wants to know why.
func (l *local) attached(ctx context.Context, plugin string) (found, error) {
	waited := func(p daemon.Plugin) bool { return p.Name == plugin && !p.Ready }
	now, err := l.once(ctx, func(plugins []daemon.Plugin) bool {
		return !slices.ContainsFunc(plugins, func(p daemon.Plugin) bool { return waited(p) && unsettled(p) })
	})
	if err != nil {
		return now, err
	}
	if i := slices.IndexFunc(now.Plugins, waited); i >= 0 {
		said := statusOf(now.Plugins[i])
		if hint := l.c.program.OtherCookie; hint != "" {
			said += ": " + hint
		}
		return now, failf(exitUnreachable, "plugin %s: %s", plugin, said)
	}
	return now, nil
}

// Call implements client.
func (l *local) Call(ctx context.Context, plugin, kind, method string, args json.RawMessage) (json.RawMessage, error) {
	now, err := l.attached(ctx, plugin)
	if err != nil {
		return nil, err
	}
	result, err := l.d.Call(ctx, plugin, kind, method, args)
	if err == nil {
		return result, nil
	}
	if errors.Is(err, daemon.ErrUnknown) {
		err = now.explain(err)
	}
	return nil, &failure{codeOf(err), err}
}

// Stream implements streamer.
func (l *local) Stream(ctx context.Context, plugin, kind, method string, args json.RawMessage, more iter.Seq2[json.RawMessage, error], each func(json.RawMessage) error) error {
	if _, err := l.attached(ctx, plugin); err != nil {
		return err
	}
	if err := dynamic.Stream(ctx, l.d, plugin, kind, method, args, more, each); err != nil {
		return &failure{codeOf(err), err}
	}
	return nil
}

// codeOf gives the exit code that an error of a call leads to.
func codeOf(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, daemon.ErrArguments), errors.Is(err, daemon.ErrUnknown), errors.Is(err, daemon.ErrNotCallable):
		return exitUsage
	case stub.SourceOf(err) == stub.SourceNetwork, errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	}
	return exitFailed
}
