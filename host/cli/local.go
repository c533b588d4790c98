// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// local is a daemon that lives for one command.
type local struct {
	d      *daemon.Daemon
	c      Config
	cancel context.CancelFunc
	ended  chan error
}

func (h Host) newLocal(ctx context.Context, c Config, stderr io.Writer) (*local, error) {
	if err := c.findSomething(); err != nil {
		return nil, err
	}
	o, err := h.daemonOptions(c, stderr)
	if err != nil {
		return nil, err
	}
	d, err := daemon.New(o)
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &local{d: d, c: c, cancel: cancel, ended: make(chan error, 1)}
	go func() { l.ended <- d.Run(running) }()
	return l, nil
}

// Close implements client.
func (l *local) Close() error {
	l.cancel()
	return <-l.ended
}

// Plugins implements client: it waits until every endpoint has been tried.
func (l *local) Plugins(ctx context.Context) ([]daemon.Plugin, error) {
	within, cancel := context.WithTimeout(ctx, l.c.AttachTimeout)
	defer cancel()
	changes := l.d.Subscribe(64)
	defer changes.Close()
	if err := l.d.Synced(within); err != nil {
		return l.d.Plugins(), err
	}
	for {
		if l.settled() {
			return l.d.Plugins(), nil
		}
		select {
		case <-changes.C():
		case <-within.Done():
			return l.d.Plugins(), ctx.Err()
		}
	}
}

// settled reports whether each endpoint came to something.
func (l *local) settled() bool {
	for _, p := range l.d.Plugins() {
		for _, e := range p.Endpoints {
			if e.State == conn.Idle || e.State == conn.Connecting && e.Failures == 0 {
				return false
			}
		}
	}
	return true
}

// Watch implements client.
func (l *local) Watch(ctx context.Context, show func([]daemon.Plugin) error) error {
	changes := l.d.Subscribe(64)
	defer changes.Close()
	for {
		if err := show(l.d.Plugins()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changes.C():
			if !open {
				return errors.New("the daemon has ended")
			}
		}
	}
}

// Call implements client.
func (l *local) Call(ctx context.Context, plugin, kind, method string, args json.RawMessage) (json.RawMessage, error) {
	result, err := l.d.Call(ctx, plugin, kind, method, args)
	if err == nil {
		return result, nil
	}
	code := exitFailed
	switch {
	case errors.Is(err, daemon.ErrArguments), errors.Is(err, daemon.ErrUnknown), errors.Is(err, daemon.ErrNotCallable):
		code = exitUsage
	case stub.SourceOf(err) == stub.SourceNetwork, errors.Is(err, context.DeadlineExceeded):
		code = exitUnreachable
	}
	return nil, &failure{code, err}
}
