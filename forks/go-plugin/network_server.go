// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/logging"
	"github.com/hashicorp/go-plugin/internal/panics"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// outputBuffer is how much of the plugin's output is kept for each attached
// host that is slow to read it, in bytes.
const outputBuffer = 1 << 20

// networkServer serves one plugin to many hosts, each connection a session of
// its own.
type networkServer struct {
	opts   *ServeConfig
	config NetworkConfig
	logger hclog.Logger
	about  hclog.Logger // hosts, as often as a flood of them may be logged
	served []servedVersion
	// announced is what hosts get that name no version.
	announced servedVersion
	offers    *offers
	services  map[int]*grpcServices // of gRPC, by app version
	tls       *tls.Config           // nil: plain TCP
	output    *stdio.Hub
	pending   *pendingGate
	sessions  *sessionSet
	panics    *panics.Guard
	watchdog  rpcmux.Watchdog
	draining  chan struct{}
}

// newNetworkServer does everything that can fail before a socket is open.
func newNetworkServer(opts *ServeConfig, logger hclog.Logger, output *stdio.Hub) (*networkServer, error) {
	s := &networkServer{
		opts:     opts,
		logger:   logger,
		about:    logging.NewRated(logger),
		served:   servedVersions(opts),
		output:   output,
		draining: make(chan struct{}),
	}
	if len(s.served) == 0 {
		return nil, errors.New("ServeConfig has neither Plugins nor VersionedPlugins: there is nothing to serve")
	}
	if opts.Network != nil {
		s.config = *opts.Network
	}
	if err := checkMaxMessage("NetworkConfig.MaxMessageBytes", s.config.MaxMessageBytes); err != nil {
		return nil, err
	}
	s.config = s.config.withDefaults()
	var err error
	if s.announced, err = announcedVersion(s.served, s.config.DefaultVersion); err != nil {
		return nil, err
	}
	if s.tls, err = serverTLS(opts, s.config.TLS, logger); err != nil {
		return nil, err
	}
	s.pending = newPendingGate(maxPending)
	s.sessions = newSessionSet(s.config.MaxSessions)
	s.panics = panics.NewGuard()
	s.offers = newOffers(s.config.Name, s.served)
	s.services = make(map[int]*grpcServices)
	for _, v := range s.served {
		if v.protocol == ProtocolGRPC {
			s.services[v.version] = newGRPCServices(v.version, s.config, logger)
		}
	}
	return s, nil
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

// serve accepts connections until ctx ends, and returns when all of them have
// ended.
func (s *networkServer) serve(ctx context.Context, lis net.Listener) error {
	health, err := startHealth(s.config.HealthAddr, s.draining, s.panics.Count, s.logger)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	defer health.close()
	s.offers.maxMessage = max(s.config.MaxMessageBytes, 0)
	s.logger.Info("plugin serves on the network", "name", s.config.Name, "address", lis.Addr().String(),
		"tls", s.tls != nil, "versions", s.offers.versions())

	// The sessions outlive ctx: they drain first.
	hard, abort := context.WithCancel(context.Background())
	defer abort()
	var handlers sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	err = s.accept(ctx, hard, lis, &handlers)
	if !stop() {
		err = nil // The listener was closed on purpose.
	}
	drained := s.drain()
	for _, services := range s.services {
		services.end()
	}
	abort()
	return errors.Join(err, drained, awaitSessions(&handlers))
}

// awaitSessions waits until every session has ended, whose connection is closed
// by now. It gives up on one in which the plugin's own code does not return: the
// process must end in time all the same.
func awaitSessions(handlers *sync.WaitGroup) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		handlers.Wait()
	}()
	grace := time.NewTimer(stdio.FlushTimeout)
	defer grace.Stop()
	select {
	case <-ended:
		return nil
	case <-grace.C:
		return errors.New("drain: a session does not end, because Server or GRPCServer of a plugin does not return")
	}
}

// accept hands every connection to a goroutine, until ctx ends or the listener
// fails for good. hard is the life of the connections.
func (s *networkServer) accept(ctx, hard context.Context, lis net.Listener, handlers *sync.WaitGroup) error {
	var delay time.Duration
	trouble := acceptTrouble{logger: s.logger}
	for {
		conn, err := lis.Accept()
		if err == nil {
			delay = 0
			trouble.over(time.Now())
			handlers.Add(1)
			go s.handle(hard, conn, handlers.Done)
			continue
		}
		// Listeners of other packages have errors of their own for being closed.
		var passing interface{ Temporary() bool }
		if ctx.Err() != nil || !errors.As(err, &passing) || !passing.Temporary() {
			return err
		}
		// Most likely the process is out of file descriptors. That passes, and
		// a plugin that gave up would take its attached hosts with it.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		trouble.report(err, time.Now())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// handle sees one connection through from its first byte to its end, and calls
// done then, which may be after it has returned.
func (s *networkServer) handle(ctx context.Context, conn net.Conn, done func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	host, err := s.admit(ctx, conn)
	end := func() {
		stop()
		_ = conn.Close()
		if host != nil {
			s.leave(host)
		}
		done()
	}
	if err != nil {
		logRefusal(s.about, conn.RemoteAddr(), err)
		end()
		return
	}
	host.serve(func(err error) {
		if err != nil {
			host.logger.Debug("session ended", "error", err)
		}
		end()
	})
}

// leave forgets a host that was counted in, whether its session began or not:
// its connection may be closed from outside at any moment of the handshake.
func (s *networkServer) leave(host *hostSession) {
	s.sessions.remove(host)
	host.isReady() // lets a drain that has seen it go on
	if host.discard != nil {
		host.discard()
	}
}
