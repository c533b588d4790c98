// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// grpcServices makes the gRPC services of one app version of a network plugin. Each
// session gets one of its own, so that the plugin's broker is its host's, for as long
// as the plugin can be asked for another one. Its factory or its GRPCServer may not
// allow that: both run once in a child. From then on, all further sessions share the
// first service, which for that reason stays until the plugin ends. While the plugin's
// code takes too long, sessions share it as well, and nobody asks again.
type grpcServices struct {
	version  int
	logger   hclog.Logger
	patience time.Duration // how long the plugin's code may take
	turn     chan struct{} // holds a token, for the session that asks for the first service

	mu    sync.Mutex
	first *grpcService
	once  bool // the plugin cannot be asked again
	late  int  // how many askings take longer than anybody waits
	ended bool
}

func newGRPCServices(version int, cfg NetworkConfig, logger hclog.Logger) *grpcServices {
	g := &grpcServices{
		version:  version,
		logger:   logger,
		patience: cfg.HandshakeTimeout / 2,
		turn:     make(chan struct{}, 1),
		once:     cfg.OneServer,
	}
	g.turn <- struct{}{}
	return g
}

var errSlowPlugin = errors.New("the plugin's GRPCServer does not return")

// get returns the service for a session: a new one that is the session's own, or the
// first one, which it has to join. An error is one of the plugin's, and there is
// nothing to serve yet; the next session tries again.
func (g *grpcServices) get(own, shared grpcServiceConfig) (*grpcService, error) {
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	first, share := g.state()
	release := func() {}
	if first == nil {
		select {
		case <-g.turn:
			release = func() { g.turn <- struct{}{} }
		case <-timer.C:
			return g.fallBack(errSlowPlugin)
		}
		first, share = g.state()
	}
	if first != nil && share {
		release()
		return first, nil
	}
	if first != nil {
		release()
		release = func() {}
	}
	made := make(chan madeService)
	left := make(chan struct{})
	// The plugin's code may never return.
	go func() {
		defer release()
		m := g.make(first == nil, own, shared)
		select {
		case made <- m:
		case <-left:
			m.discard()
			g.arrivedLate(m.err)
		}
	}()
	select {
	case m := <-made:
		if m.err != nil {
			return g.fallBack(m.err)
		}
		return m.service, nil
	case <-timer.C:
		g.isLate()
		close(left)
		return g.fallBack(errSlowPlugin)
	}
}

// state returns the first service, and whether a session has to share it.
func (g *grpcServices) state() (first *grpcService, share bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first, g.once || g.late > 0
}

// isLate notes that an asking takes longer than anybody waits.
func (g *grpcServices) isLate() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.late++; g.late == 1 && g.first != nil {
		g.logger.Warn("hosts share the plugin's first gRPC server while it takes long to make another one; "+
			"callbacks work for one host at a time", "version", g.version, "waited", g.patience)
	}
}

// arrivedLate notes that such an asking is over, and what it came to.
func (g *grpcServices) arrivedLate(err error) {
	g.mu.Lock()
	g.late--
	served := g.first != nil
	g.mu.Unlock()
	if err != nil && served {
		_, _ = g.fallBack(err)
	}
}

// madeService is what asking the plugin came to.
type madeService struct {
	service *grpcService
	err     error
}

// discard stops a service that came too late, unless it is the first one.
func (m madeService) discard() {
	if m.service != nil && m.service.shared == nil {
		m.service.stop()
	}
}

// make asks the plugin. For the first service the caller has the turn.
func (g *grpcServices) make(isFirst bool, own, shared grpcServiceConfig) madeService {
	if !isFirst {
		service, err := newGRPCService(own)
		return madeService{service, err}
	}
	service, err := newGRPCService(shared)
	if err != nil {
		return madeService{nil, err}
	}
	g.mu.Lock()
	ended := g.ended
	g.first = service
	g.mu.Unlock()
	if ended {
		service.stop()
	}
	return madeService{service, nil}
}

// fallBack returns the first service when the plugin could not make another one.
func (g *grpcServices) fallBack(cause error) (*grpcService, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		return nil, fmt.Errorf("app version %d cannot be served: %w", g.version, cause)
	}
	if !g.once && !errors.Is(cause, errSlowPlugin) {
		g.once = true
		g.logger.Warn("all hosts share the plugin's first gRPC server, because it makes no other one; "+
			"callbacks work for one host at a time", "version", g.version, "reason", cause)
	}
	return g.first, nil
}

// kinds are what the plugin has registered, once it has.
func (g *grpcServices) kinds() []hello.Kind {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		return nil
	}
	return g.first.kinds
}

// end stops the first service. The sessions have ended.
func (g *grpcServices) end() {
	g.mu.Lock()
	g.ended = true
	first := g.first
	g.mu.Unlock()
	if first != nil {
		first.stop()
	}
}
