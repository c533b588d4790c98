// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/host/visit"
)

// loader gives what loads a shared object for one visit.
func loader(handshake plugin.HandshakeConfig, logger hclog.Logger) func(context.Context, string, map[int]plugin.PluginSet) (*visit.Loaded, error) {
	return func(ctx context.Context, path string, kinds map[int]plugin.PluginSet) (*visit.Loaded, error) {
		dialer, err := so.Dialer(so.Options{Contract: attach.Contract{Handshake: handshake, Versions: kinds}, Logger: logger})
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		session, err := dialer.Dial(ctx, target.Endpoint{
			ID: target.MakeID(name, path), Plugin: name, Placement: target.InProcess, Address: path,
		})
		if err != nil {
			return nil, err
		}
		info := session.Info()
		return &visit.Loaded{
			Protocol: plugin.Protocol(info.Protocol),
			Version:  info.Version,
			Dispense: func(kind string) (any, error) { return dispense(session, kinds[info.Version][kind], kind) },
			Leave:    func() { _ = session.Close() },
		}, nil
	}
}

// dispense gives a stub for one session, as go-plugin's own clients do. It ends with
// the session.
func dispense(session conn.Session, glue plugin.Plugin, kind string) (any, error) {
	if g, ok := glue.(plugin.GRPCPlugin); ok {
		if s, ok := session.(stub.GRPCSession); ok {
			if c, ok := s.ClientConn(); ok {
				return g.GRPCClient(context.Background(), nil, c)
			}
		}
	}
	s, ok := session.(stub.RPCSession)
	if !ok {
		return nil, fmt.Errorf("dispense %s: the session speaks neither net/rpc nor gRPC", kind)
	}
	channel, err := s.OpenRPC(kind)
	if err != nil {
		return nil, err
	}
	return glue.Client(nil, plugin.NewChannelClient(channel))
}
