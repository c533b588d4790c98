// SPDX-License-Identifier: MPL-2.0

//go:build fork

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

// tune sets what the fork adds to upstream's configuration.
func tune(cfg *plugin.ClientConfig, spec hostapi.Client) {
	cfg.DialTimeout = time.Duration(spec.DialTimeoutMS) * time.Millisecond
	cfg.PingTimeout = time.Duration(spec.PingTimeoutMS) * time.Millisecond
	cfg.KeepaliveInterval = time.Duration(spec.KeepaliveMS) * time.Millisecond
}

func connectionLost(err error) bool { return errors.Is(err, plugin.ErrConnectionLost) }

// Attach makes a session by plugin.Attach and dispenses the store. The calls
// then name it like a client.
func (h *Host) Attach(spec hostapi.Client, out *hostapi.SessionInfo) error {
	c := emptyClient(spec)
	cfg, err := c.config(spec)
	if err != nil {
		return err
	}
	session, err := plugin.Attach(context.Background(), cfg)
	if err != nil {
		return err
	}
	raw, err := session.Dispense(store.Kind)
	if err != nil {
		return errors.Join(err, session.Close())
	}
	c.protocol, c.stub = session, raw.(store.Stub)
	h.mu.Lock()
	h.clients[spec.Name] = c
	h.mu.Unlock()
	*out = hostapi.SessionInfo{Version: session.Version(), Protocol: string(session.Protocol())}
	if info := session.Info(); info != nil {
		out.Name, out.Instance, out.Features = info.Name, info.Instance, info.Features
	}
	return nil
}

func (h *Host) session(name string) (*plugin.Session, error) {
	c, err := h.client(name)
	if err != nil {
		return nil, err
	}
	session, ok := c.protocol.(*plugin.Session)
	if !ok {
		return nil, fmt.Errorf("client %q was not made by Attach", name)
	}
	return session, nil
}

// AwaitDraining answers when the plugin says that it is about to leave.
func (h *Host) AwaitDraining(n hostapi.Named, _ *hostapi.None) error {
	s, err := h.session(n.Name)
	if err != nil {
		return err
	}
	select {
	case <-s.Draining():
		return nil
	case <-s.Done():
		return fmt.Errorf("the session ended without notice: %w", s.Err())
	}
}

// AwaitEnd answers why the session ended, once it has.
func (h *Host) AwaitEnd(n hostapi.Named, out *hostapi.Failure) error {
	s, err := h.session(n.Name)
	if err != nil {
		return err
	}
	<-s.Done()
	*out = hostapi.Failure{Text: s.Err().Error(), Lost: connectionLost(s.Err())}
	return nil
}
