// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	vault "github.com/hashicorp/vault/sdk/plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/test/consumers/peer/vault/engine"
)

// catalog is what Vault's catalog of plugins is to the SDK: it starts an engine,
// or attaches to it, and gives each mount its connection. An engine that knows
// multiplexing has one for all mounts, any other one for each.
type catalog struct {
	logical.StaticSystemView // the rest of pluginutil.RunnerUtil

	runner   *pluginutil.PluginRunner // of a child
	reattach *plugin.ReattachConfig   // of a network plugin

	multiplexed bool
	shared      *plugin.GRPCClient // nil until the first mount, and without multiplexing
	ids         atomic.Uint64
	kill        []func()
}

func newCatalog(how, where string) (*catalog, error) {
	if how != "child" {
		reattach, err := reattachConfig(how, where)
		if err != nil {
			return nil, err
		}
		reattach.Protocol, reattach.ProtocolVersion = plugin.ProtocolGRPC, 5
		return &catalog{reattach: reattach}, nil
	}
	program, err := os.ReadFile(where)
	if err != nil {
		return nil, fmt.Errorf("read the plugin for its checksum: %w", err)
	}
	sum := sha256.Sum256(program)
	return &catalog{runner: &pluginutil.PluginRunner{
		Name: "engine", Type: consts.PluginTypeSecrets, Command: where, Sha256: sum[:],
	}}, nil
}

// close gives up all that the catalog has started.
func (c *catalog) close() {
	for _, kill := range c.kill {
		kill()
	}
}

// describe asks a child what it is, in metadata mode, as Vault does before it
// mounts anything. It needs a process of its own: a network plugin has none.
func (c *catalog) describe(ctx context.Context) error {
	if c.runner == nil {
		return nil
	}
	backend, err := vault.NewPluginClient(ctx, c, c.runner, hclog.NewNullLogger(), true)
	if err != nil {
		return fmt.Errorf("start in metadata mode: %w", err)
	}
	defer backend.Cleanup(ctx)
	if err := backend.Setup(ctx, &logical.BackendConfig{}); err != nil {
		return fmt.Errorf("set up in metadata mode: %w", err)
	}
	version := backend.(logical.PluginVersioner).PluginVersion().Version
	if kind := backend.Type(); kind != logical.TypeLogical || version != engine.Version {
		return fmt.Errorf("in metadata mode it is %v %s, want %v %s", kind, version, logical.TypeLogical, engine.Version)
	}
	return nil
}

// backend returns an engine for a mount, as Vault's core asks for it.
func (c *catalog) backend(ctx context.Context) (logical.Backend, error) {
	return vault.NewPluginClientV5(ctx, c, pluginutil.PluginClientConfig{
		Name:            "engine",
		PluginType:      consts.PluginTypeSecrets,
		PluginSets:      vault.PluginSet,
		HandshakeConfig: vault.HandshakeConfig,
		Logger:          hclog.NewNullLogger(),
		AutoMTLS:        true,
		Wrapper:         c,
	})
}

// NewPluginClient implements [pluginutil.RunnerUtil].
func (c *catalog) NewPluginClient(ctx context.Context, config pluginutil.PluginClientConfig) (pluginutil.PluginClient, error) {
	if c.shared != nil {
		return c.connection(c.shared), nil
	}
	client, err := c.client(ctx, config)
	if err != nil {
		return nil, err
	}
	protocol, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if c.runner != nil {
		c.kill = append(c.kill, client.Kill)
	}
	session := protocol.(*plugin.GRPCClient)
	if c.multiplexed, err = pluginutil.MultiplexingSupported(ctx, session.Conn, config.Name); err != nil {
		return nil, fmt.Errorf("ask whether it knows multiplexing: %w", err)
	}
	if !c.multiplexed {
		return &connection{ClientProtocol: session, conn: session.Conn, close: session.Close}, nil
	}
	c.shared = session
	c.kill = append(c.kill, func() { _ = session.Close() })
	return c.connection(session), nil
}

// client is a child that is started as Vault starts it, or a network plugin.
func (c *catalog) client(ctx context.Context, config pluginutil.PluginClientConfig) (*plugin.Client, error) {
	if c.runner != nil {
		return c.runner.RunConfig(ctx, pluginutil.Runner(config.Wrapper), pluginutil.PluginSets(config.PluginSets),
			pluginutil.HandshakeConfig(config.HandshakeConfig), pluginutil.Logger(config.Logger),
			pluginutil.MetadataMode(config.IsMetadataMode), pluginutil.AutoMTLS(config.AutoMTLS), pluginutil.MLock(config.MLock))
	}
	return plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  config.HandshakeConfig,
		Plugins:          config.PluginSets[5],
		VersionedPlugins: config.PluginSets,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           config.Logger,
		Reattach:         c.reattach,
	}), nil
}

// connection returns a mount's share of a session.
func (c *catalog) connection(session *plugin.GRPCClient) *connection {
	id := fmt.Sprint("mount ", c.ids.Add(1))
	return &connection{
		ClientProtocol: session,
		conn:           multiplexed{session.Conn, id},
		close:          func() error { return nil },
	}
}

// connection implements [pluginutil.PluginClient].
type connection struct {
	plugin.ClientProtocol
	conn  grpc.ClientConnInterface
	close func() error
}

func (c *connection) Conn() grpc.ClientConnInterface { return c.conn }

func (c *connection) Reload() error { return nil }

func (c *connection) Close() error { return c.close() }

// multiplexed says with each call which mount it is for.
type multiplexed struct {
	grpc.ClientConnInterface
	id string
}

func (m multiplexed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx = metadata.AppendToOutgoingContext(ctx, pluginutil.MultiplexingCtxKey, m.id)
	return m.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}
