// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

// chooses holds that a host with both versions gets the higher one.
func (s suite) chooses(t *testing.T) {
	session := s.dial(t, s.Endpoint(t))
	if info := session.Info(); info.Version != commons.VersionGRPC || info.Protocol != string(plugin.ProtocolGRPC) {
		t.Errorf("version %d over %q, want %d over gRPC", info.Version, info.Protocol, commons.VersionGRPC)
	}
}

func (s suite) otherCookie(t *testing.T) {
	c := s.contract
	c.Handshake.MagicCookieKey = "OTHER_PLUGIN"
	s.refused(t, c, s.Endpoint(t), "cookie")
}

func (s suite) otherVersion(t *testing.T) {
	c := s.contract
	c.Versions = map[int]plugin.PluginSet{77: {commons.GreeterKind: &commons.GreeterPlugin{}}}
	s.refused(t, c, s.Endpoint(t), "77")
}

func (s suite) notPlugin(t *testing.T) {
	e := s.NotPlugin(t)
	_, err := s.Dialer(t, s.contract).Dial(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), e.Address) {
		t.Errorf("dial what is no plugin: %v, want an error that names %s", err, e.Address)
	}
}

// refused holds that a refusal is permanent, and names the place and the cause.
func (s suite) refused(t *testing.T, c attach.Contract, e target.Endpoint, cause string) {
	t.Helper()
	session, err := s.Dialer(t, c).Dial(t.Context(), e)
	if err == nil {
		_ = session.Close()
		t.Fatal("the plugin took a host that it was not made for")
	}
	for _, part := range []string{e.Address, cause} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
	if !errors.Is(err, conn.ErrPermanent) {
		t.Errorf("trying again is not going to help: %v should be permanent", err)
	}
}

func (s suite) givenUpBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Dialer(t, s.contract).Dial(ctx, s.Endpoint(t))
	if !errors.Is(err, context.Canceled) || errors.Is(err, conn.ErrPermanent) {
		t.Errorf("a dial that was given up: %v, want context.Canceled, not permanent", err)
	}
}

func (s suite) givenUpDuring(t *testing.T) {
	if s.Stuck == nil {
		t.Skip("a dial of this placement does not wait for anything")
	}
	e, reached := s.Stuck(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dialed := make(chan struct{})
	var err error
	go func() {
		defer close(dialed)
		_, err = s.Dialer(t, s.contract).Dial(ctx, e)
	}()
	kit.Until(t, patience, "the dial gets where it is stuck", reached)
	cancel()
	within(t, "the dial ends with its context", dialed)
	if !errors.Is(err, context.Canceled) || errors.Is(err, conn.ErrPermanent) {
		t.Errorf("a dial that was given up: %v, want context.Canceled, not permanent", err)
	}
}
