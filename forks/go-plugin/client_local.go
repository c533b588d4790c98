// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/child"
)

// localPlugin is a process, or whatever a Runner stands for, on this machine.
type localPlugin struct {
	localProcess

	starting sync.Mutex // held while start works; guards the four below
	started  bool
	ran      bool // there was a process, or what stands for it
	startErr error
	reached  reachedPlugin // valid once started without startErr

	opening sync.Mutex // one open at a time
	killing sync.Mutex // one Kill at a time

	grace time.Duration // of tests, instead of gracePeriod

	state   sync.Mutex // guards these three
	client  sessionClient
	session *Session           // whose the client is; nil: it has none
	abandon context.CancelFunc // ends a start that is under way; nil before
}

func newLocalPlugin(config ClientConfig) *localPlugin {
	p := &localPlugin{localProcess: localProcess{config: config, logger: config.Logger}}
	p.kept.Group = config.UnixSocketConfig.Group
	p.process = child.NewProcess(child.Config{
		Logger: config.Logger, Stderr: config.Stderr, MaxLine: config.PluginLogBufferSize, LastOutput: p.awaitOutput,
	})
	p.inUse, p.unused = context.WithCancel(p.process.Context())
	return p
}

func (p *localPlugin) start() (net.Addr, error) {
	p.starting.Lock()
	defer p.starting.Unlock()
	if !p.started {
		p.reached, p.startErr = p.reach()
		p.started = p.startErr == nil || !p.mayTryAgain()
	}
	if p.startErr != nil {
		return nil, p.startErr
	}
	return p.reached.addr, nil
}

// mayTryAgain reports whether a further Start is another attempt: what did not
// run or was not found yet may be there now. A command can be started only once.
func (p *localPlugin) mayTryAgain() bool {
	return p.config.Reattach != nil || p.config.RunnerFunc != nil && !p.ran
}

func (p *localPlugin) reach() (reachedPlugin, error) {
	if err := p.config.validate(); err != nil {
		return reachedPlugin{}, err
	}
	if p.config.Reattach != nil {
		return p.reattach()
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.config.StartTimeout)
	defer cancel()
	p.state.Lock()
	p.abandon = cancel
	p.state.Unlock()
	reached, ran, err := p.startChild(ctx)
	p.ran = ran
	return reached, err
}

func (p *localPlugin) open() (ClientProtocol, error) {
	if _, err := p.start(); err != nil {
		return nil, err
	}
	p.opening.Lock()
	defer p.opening.Unlock()
	if client := p.connected(); client != nil {
		return client, nil
	}
	client, session, err := p.connect(p.reached)
	if err != nil {
		if p.inUse.Err() != nil {
			err = fmt.Errorf("%w: %w", child.ErrExited, err)
		}
		return nil, err
	}
	if !p.keep(client, session) {
		_ = client.Close()
		return nil, child.ErrExited
	}
	return client, nil
}

var errNoSession = errors.New("the plugin has no session: it speaks gRPC on this machine without the handshake")

func (p *localPlugin) attached() (*Session, error) {
	if _, err := p.open(); err != nil {
		return nil, err
	}
	p.state.Lock()
	defer p.state.Unlock()
	if p.session == nil {
		return nil, errNoSession
	}
	return p.session, nil
}

// keep keeps a connection for Kill to close, unless that has looked for one already.
func (p *localPlugin) keep(client sessionClient, session *Session) bool {
	p.state.Lock()
	defer p.state.Unlock()
	if p.inUse.Err() != nil {
		return false
	}
	p.client, p.session = client, session
	return true
}

// connected returns what open has made; nil before.
func (p *localPlugin) connected() sessionClient {
	p.state.Lock()
	defer p.state.Unlock()
	return p.client
}

// awaitOutput waits until what the connection to a plugin that has ended still holds was
// passed on, or until ctx ends.
func (p *localPlugin) awaitOutput(ctx context.Context) {
	if client := p.connected(); client != nil {
		client.awaitOutput(ctx)
	}
}

func (p *localPlugin) id() string {
	if r := p.process.Runner(); r != nil {
		return r.ID()
	}
	return ""
}

func (p *localPlugin) negotiated() (Protocol, int) {
	p.starting.Lock()
	defer p.starting.Unlock()
	return p.reached.protocol, p.reached.version
}

func (p *localPlugin) reattachConfig() *ReattachConfig {
	p.starting.Lock()
	defer p.starting.Unlock()
	if p.reached.addr == nil {
		return nil
	}
	if p.config.Reattach != nil {
		return p.config.Reattach
	}
	reattach := &ReattachConfig{Protocol: p.reached.protocol, ProtocolVersion: p.reached.version, Addr: p.reached.addr}
	if cmd := p.config.Cmd; cmd != nil && cmd.Process != nil {
		reattach.Pid = cmd.Process.Pid
	}
	return reattach
}
