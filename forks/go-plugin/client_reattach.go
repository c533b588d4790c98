// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/dial"
)

// reattach finds a plugin that another client started.
func (p *localProcess) reattach() (reachedPlugin, error) {
	cfg := p.config.Reattach
	attach := cfg.ReattachFunc
	if attach == nil {
		attach = cmdrunner.ReattachFunc(cfg.Pid, cfg.Addr)
	}
	found, err := attach()
	if cfg.ReattachFunc == nil && errors.Is(err, ErrProcessNotFound) {
		p.logger.Debug("cannot reattach", "error", err)
		err = ErrProcessNotFound // Hosts compare with ==.
	}
	if err != nil {
		return reachedPlugin{}, err
	}
	reached := reachedPlugin{
		addr:     cfg.Addr,
		socket:   child.NewSocket(cfg.Addr, dial.Dialer()),
		protocol: cfg.Protocol,
		plugins:  p.config.Plugins,
		tls:      p.config.TLSConfig,
	}
	setDefault(&reached.protocol, ProtocolNetRPC)
	if cfg.Test {
		reached.version = cfg.ProtocolVersion
		p.process.Attach(found, nil) // It ends itself.
	} else {
		p.process.Attach(found, reached.socket)
	}
	if set, ok := p.config.versions()[cfg.ProtocolVersion]; ok && cfg.ProtocolVersion != 0 {
		reached.version, reached.plugins = cfg.ProtocolVersion, set
	}
	return reached, nil
}
