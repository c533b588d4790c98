// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// remotePlugin keeps one session with a remote plugin and replaces it when it
// was lost and is wanted again.
type remotePlugin struct {
	config ClientConfig
	ctx    context.Context // ends with kill
	cancel context.CancelCauseFunc

	attaching sync.Mutex // callers share one attempt
	session   atomic.Pointer[Session]
}

func newRemotePlugin(config ClientConfig) *remotePlugin {
	p := &remotePlugin{config: config}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

// attached returns a live session.
func (p *remotePlugin) attached() (*Session, error) {
	p.attaching.Lock()
	defer p.attaching.Unlock()
	if p.ctx.Err() != nil {
		return nil, ErrDetached
	}
	last := p.session.Load()
	if last != nil && last.Err() == nil {
		return last, nil
	}
	config := p.config
	if last != nil && last.Info() != nil {
		known := *config.Reattach
		known.RequireHandshake = true
		config.Reattach = &known
	}
	session, err := Attach(p.ctx, &config)
	if err != nil {
		return nil, err
	}
	if last != nil {
		_ = last.Close()
	}
	p.session.Store(session)
	return session, nil
}

func (p *remotePlugin) start() (net.Addr, error) {
	if p.session.Load() == nil {
		if _, err := p.attached(); err != nil {
			return nil, err
		}
	}
	return p.config.Reattach.Addr, nil
}

func (p *remotePlugin) open() (ClientProtocol, error) {
	session, err := p.attached()
	if err != nil {
		return nil, err
	}
	return session.client, nil
}

func (p *remotePlugin) kill() {
	p.cancel(ErrDetached)
	p.attaching.Lock() // An attempt under way ends at once and may have won.
	defer p.attaching.Unlock()
	if session := p.session.Load(); session != nil {
		_ = session.Close()
	}
}

func (p *remotePlugin) context() context.Context { return p.ctx }

func (p *remotePlugin) exited() bool {
	session := p.session.Load()
	return session != nil && session.Err() != nil
}

func (p *remotePlugin) id() string { return p.config.Reattach.Addr.String() }

func (p *remotePlugin) negotiated() (Protocol, int) {
	if session := p.session.Load(); session != nil {
		return session.Protocol(), session.Version()
	}
	return ProtocolInvalid, 0
}

func (p *remotePlugin) reattachConfig() *ReattachConfig {
	if p.session.Load() == nil {
		return nil
	}
	return p.config.Reattach
}
