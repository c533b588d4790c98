// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// Factory makes the services of one app version of a network plugin. Each session gets
// one of its own, so that the plugin's broker is its host's, for as long as the plugin
// can be asked for another one. Its own factory or its GRPCServer may not allow that:
// both run once in a child. From then on, all further sessions share the first service,
// which for that reason stays until the plugin ends. While the plugin's code takes too
// long, sessions share it as well, and do not ask again.
type Factory struct {
	cfg     Config
	version int
	timeout time.Duration // of the plugin's code
	asking  chan struct{} // holds an item while a session asks for the first service

	mu     sync.Mutex
	first  *Service
	sole   bool // the plugin cannot be asked again
	late   int  // how many sessions that have given up are still being made a service
	closed bool
}

// NewFactory returns a factory for an app version. The plugin's code may take as long
// as timeout for a session. sole says that it can be asked only once. The caller closes
// the factory.
func NewFactory(cfg Config, version int, timeout time.Duration, sole bool) *Factory {
	return &Factory{cfg: cfg, version: version, timeout: timeout, sole: sole, asking: make(chan struct{}, 1)}
}

var errSlowPlugin = errors.New("the plugin's GRPCServer does not return")

// Join makes a session with a host on its connection, as [Service.Join] does, of a
// service of its own, or of the first one. An error is one of the plugin's, and there is
// nothing to serve yet; the next session tries again.
func (f *Factory) Join(host Host, conn net.Conn) (*Session, error) {
	service, err := f.service(&host)
	if err != nil {
		return nil, err
	}
	return service.Join(host, conn), nil
}

// made is what came of asking the plugin.
type made struct {
	service *Service
	err     error
}

func (f *Factory) service(host *Host) (*Service, error) {
	if first, share := f.state(); share {
		return first, nil
	}
	answer, left := make(chan made), make(chan struct{})
	// The plugin's code may never return.
	go func() {
		service, err := f.ask(host, left)
		select {
		case answer <- made{service, err}:
		case <-left:
			f.isNoLongerLate(service, err)
		}
	}()
	late := time.NewTimer(f.timeout)
	defer late.Stop()
	select {
	case m := <-answer:
		if m.err != nil {
			return f.share(m.err)
		}
		return m.service, nil
	case <-late.C:
		f.isLate()
		close(left)
		return f.share(errSlowPlugin)
	}
}

// ask asks the plugin for a service. Only one session at a time asks for the first one;
// another one waits for that until left is closed.
func (f *Factory) ask(host *Host, left <-chan struct{}) (*Service, error) {
	if first, _ := f.state(); first == nil {
		select {
		case f.asking <- struct{}{}:
		case <-left:
			return nil, errSlowPlugin
		}
		first, share := f.state()
		if first == nil {
			return f.makeFirst(host.Logger)
		}
		<-f.asking
		if share {
			return first, nil
		}
	}
	return New(f.cfg, host)
}

// state returns the first service, if there is one, and whether a session has to share it.
func (f *Factory) state() (first *Service, share bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first, f.first != nil && (f.sole || f.late > 0)
}

// Prepare asks the plugin for the first service before any host comes, however long that
// takes.
func (f *Factory) Prepare(asker hclog.Logger) error {
	f.asking <- struct{}{}
	_, err := f.makeFirst(asker)
	return err
}

// makeFirst asks the plugin for the first service.
func (f *Factory) makeFirst(asker hclog.Logger) (*Service, error) {
	defer func() { <-f.asking }()
	service, err := newService(f.cfg, nil, asker)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.first = service
	closed := f.closed
	f.mu.Unlock()
	if closed {
		service.Stop()
	}
	return service, nil
}

// share returns the first service when the plugin could not make another one.
func (f *Factory) share(cause error) (*Service, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		return nil, fmt.Errorf("app version %d cannot be served: %w", f.version, cause)
	}
	if !f.sole && !errors.Is(cause, errSlowPlugin) {
		f.sole = true
		f.cfg.Logger.Warn("all hosts share the plugin's first gRPC server, because it makes no other one; "+
			"callbacks work for one host at a time", "version", f.version, "reason", cause)
	}
	return f.first, nil
}

// isLate notes that a session does not wait any more for its service.
func (f *Factory) isLate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late++; f.late == 1 && f.first != nil {
		f.cfg.Logger.Warn("hosts share the plugin's first gRPC server while it takes long to make another one; "+
			"callbacks work for one host at a time", "version", f.version, "waited", f.timeout)
	}
}

// isNoLongerLate notes what came of it in the end. The service is not used, unless it is
// the first one.
func (f *Factory) isNoLongerLate(service *Service, err error) {
	f.mu.Lock()
	f.late--
	first := f.first
	f.mu.Unlock()
	switch {
	case err == nil && service != first:
		service.Stop()
	case err != nil && first != nil:
		_, _ = f.share(err)
	}
}

// Kinds are what the plugin has registered, once it has.
func (f *Factory) Kinds() []hello.Kind {
	if first, _ := f.state(); first != nil {
		return first.kinds
	}
	return nil
}

// Close stops the first service. The sessions have ended.
func (f *Factory) Close() {
	f.mu.Lock()
	f.closed = true
	first := f.first
	f.mu.Unlock()
	if first != nil {
		first.Stop()
	}
}
