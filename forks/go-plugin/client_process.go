// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/listen"
)

// localProcess is what starting, finding, reaching and ending a plugin of this machine
// have in common.
type localProcess struct {
	config  ClientConfig
	logger  hclog.Logger
	process *child.Process

	inUse  context.Context // ends when no connection is to be made any more, with the process at the latest
	unused context.CancelFunc

	mu   sync.Mutex
	kept listen.Sockets // of the plugin and of what is brokered
}

// reachedPlugin is how to talk to a plugin that was started or found.
type reachedPlugin struct {
	addr     net.Addr
	socket   *child.Socket // at addr
	hello    bool          // it shakes hands
	protocol Protocol
	version  int
	plugins  PluginSet
	tls      *tls.Config
}

// dial connects to the plugin's socket.
func (r reachedPlugin) dial(ctx context.Context) (net.Conn, error) {
	if r.addr == nil {
		return nil, errors.New("Reattach.Addr must be set to connect to the plugin")
	}
	return r.socket.Dial(ctx)
}

// context ends with the process.
func (p *localProcess) context() context.Context { return p.process.Context() }

func (p *localProcess) exited() bool { return p.context().Err() != nil }

func (p *localProcess) sockets() listen.Sockets {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// makeSocketDir has sockets lie in a directory of their own.
func (p *localProcess) makeSocketDir() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept.MakeDir(p.config.UnixSocketConfig.TempDir)
}

func (p *localProcess) removeSocketDir() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = os.RemoveAll(p.kept.Dir) // Which does nothing if there is none.
	p.kept.Dir = ""
}
