// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/tlsfile"
)

const (
	// hostKeepalive is after how long a silent host is probed. A host whose node has
	// failed holds a session and its memory until then.
	hostKeepalive = 15 * time.Second

	// outputBuffer is how much of the plugin's output is kept for each attached
	// host that is slow to read it, in bytes.
	outputBuffer = 1 << 20
)

// networkPlugin is what all sessions of a plugin in network mode share.
type networkPlugin struct {
	config    NetworkConfig
	newServer func([]grpc.ServerOption) *grpc.Server // of ServeConfig
	around    Around                                 // of ServeConfig
	logger    hclog.Logger
	about     hclog.Logger // hosts, as often as a flood of them may be logged
	served    []servedVersion
	tls       *tls.Config                // nil: plain TCP
	services  map[int]*grpcserve.Factory // of gRPC, by app version
	output    stdio.Outputs
	keepalive time.Duration // after how long a silent host is probed; zero: never
	quit      func()        // ends a child when its host has asked for that; nil: it is no host's alone
	panics    *panics.Guard
	watchdog  mux.Watchdog
	draining  chan struct{}
}

// newNetworkPlugin prepares a plugin for its hosts. quit is that of a child, or nil.
func newNetworkPlugin(opts *ServeConfig, logger hclog.Logger, output stdio.Outputs, quit func()) (*networkPlugin, error) {
	p := &networkPlugin{
		newServer: opts.GRPCServer,
		around:    opts.Around,
		logger:    logger,
		about:     logging.NewRated(logger),
		served:    servedVersions(opts),
		output:    output,
		keepalive: hostKeepalive,
		quit:      quit,
		panics:    panics.NewGuard(),
		draining:  make(chan struct{}),
		services:  make(map[int]*grpcserve.Factory),
	}
	if quit != nil {
		p.keepalive = 0 // A host on the same machine cannot vanish, but be stopped for a while.
	}
	if opts.Network != nil {
		p.config = *opts.Network
	}
	if err := checkMaxMessage(p.config.MaxMessageBytes); err != nil {
		return nil, fmt.Errorf("NetworkConfig.MaxMessageBytes is %w", err)
	}
	p.config = p.config.withDefaults()
	var err error
	if p.tls, err = serverTLS(opts, p.config.TLS, logger); err != nil {
		return nil, err
	}
	for _, v := range p.served {
		if v.protocol == ProtocolGRPC {
			p.services[v.version] = grpcserve.NewFactory(p.grpcConfig(v.plugins), v.version, p.config.HandshakeTimeout/2, p.config.OneServer)
		}
	}
	return p, nil
}

// serverTLS is the configuration from code, else from files, else nil.
func serverTLS(opts *ServeConfig, files tlsfile.Files, logger hclog.Logger) (*tls.Config, error) {
	if opts.TLSProvider == nil {
		if files.IsZero() {
			return nil, nil
		}
		return tlsfile.Server(files, logger)
	}
	cfg, err := opts.TLSProvider()
	if err != nil {
		return nil, fmt.Errorf("TLSProvider: %w", err)
	}
	if cfg == nil {
		return nil, nil
	}
	cfg = cfg.Clone()
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = []string{"h2"} // what a gRPC host insists on
	}
	return cfg, nil
}

// grpcConfig is how a set is served to any host.
func (p *networkPlugin) grpcConfig(set PluginSet) grpcserve.Config {
	cfg := grpcserve.Config{
		Plugins:   grpcPlugins(set),
		NewServer: factoryOf(p.newServer),
		Options:   []grpc.ServerOption{grpc.Creds(grpcconn.EstablishedTLS{})},
		Logger:    p.logger,
		Around:    p.around,
	}
	if p.quit == nil {
		cfg.MaxMessage = p.config.MaxMessageBytes // Children have gRPC's own bound.
		cfg.Options = append(cfg.Options,
			grpc.ConnectionTimeout(p.config.HandshakeTimeout),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: hostKeepalive, Timeout: hostKeepalive}),
			// Hosts may probe as often as they like: they notice a dead plugin by it.
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	}
	if !p.config.ExitOnPanic {
		cfg.Panicked = p.panics.ReportTo(p.logger)
	}
	return cfg
}
