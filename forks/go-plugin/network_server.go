// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/admission"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// networkServer serves one plugin to many hosts, each connection a session of
// its own.
type networkServer struct {
	*networkPlugin
	announced  servedVersion // what hosts get that name no version
	handshaker *admission.Handshaker
	hosts      *admission.Hosts[*hostSession]
}

// newNetworkServer does everything that can fail before a socket is open. hostVersions
// are those of a host that has started the plugin, if one has. quit is that of a child.
func newNetworkServer(opts *ServeConfig, hostVersions []int, logger hclog.Logger, output stdio.Outputs, quit func()) (*networkServer, error) {
	p, err := newNetworkPlugin(opts, logger, output, quit)
	if err != nil {
		return nil, err
	}
	announced, err := versionForHost(p.served, hostVersions)
	if err != nil {
		return nil, err
	}
	if v := p.config.DefaultVersion; v != 0 {
		if announced, err = chosenVersion(p.served, v); err != nil {
			return nil, err
		}
	}
	versions := make([]admission.Version, len(p.served))
	for i, v := range p.served {
		versions[i] = admission.Version{Number: v.version, Protocol: string(v.protocol), NetRPC: func() bool {
			_, ok := v.netRPC()
			return ok
		}}
	}
	s := newServerOf(p, admission.Config{Served: admission.Served{
		Cookie:   hello.Cookie{Key: opts.MagicCookieKey, Value: opts.MagicCookieValue},
		Versions: versions,
		Default:  announced.version,
	}})
	s.announced = announced
	return s, nil
}

// newServerOf returns what serves hosts as cfg says, to which it adds what p says.
func newServerOf(p *networkPlugin, cfg admission.Config) *networkServer {
	cfg.TLS, cfg.Timeout = p.tls, p.config.HandshakeTimeout
	cfg.Name, cfg.MaxMessage = p.config.Name, max(p.config.MaxMessageBytes, 0)
	return &networkServer{
		networkPlugin: p, handshaker: admission.NewHandshaker(cfg), hosts: admission.NewHosts[*hostSession](p.config.MaxSessions),
	}
}

// serve accepts connections until ctx ends, and returns when all of them have
// ended.
func (s *networkServer) serve(ctx context.Context, lis net.Listener) error {
	health, err := admission.StartHealth(s.config.HealthAddr, s.draining,
		admission.Measured{Panics: s.panics.Count, TLS: s.tls}, s.logger)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	defer health.Close()
	if s.quit == nil {
		s.logger.Info("plugin serves on the network", "name", s.config.Name, "address", lis.Addr().String(),
			"tls", s.tls != nil, "versions", numbersOf(s.served))
	}

	// The sessions outlive ctx: they drain first.
	hard, abort := context.WithCancel(context.Background())
	defer abort()
	var handlers sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	err = admission.Accept(ctx, lis, s.logger, func(conn net.Conn) {
		handlers.Add(1)
		go s.handle(hard, conn, handlers.Done)
	})
	if !stop() {
		err = nil // The listener was closed on purpose.
	}
	drained := s.drain()
	for _, services := range s.services {
		services.Close()
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
	select {
	case <-ended:
		return nil
	case <-time.After(stdio.FlushTimeout):
		return errors.New("drain: a session does not end, because Server or GRPCServer of a plugin does not return")
	}
}

// relayMaker makes a session's relay, where the plugin is another process. The relay's
// end is called even after an error.
type relayMaker interface {
	relay(*hostSession) (sessionRelay, error)
}

// shakeHands makes a session with the host on conn. The caller serves it, or ends it if
// there is an error besides. At the session's end, ended is called.
func (s *networkServer) shakeHands(ctx context.Context, conn net.Conn, ended func()) (*hostSession, error) {
	candidate, err := s.handshaker.Handshake(ctx, conn)
	if err != nil {
		return nil, err
	}
	host := s.newHostSession(candidate.Conn, candidate.Agreed, candidate.Host)
	host.ended = func() {
		s.hosts.Remove(host)
		ended()
	}
	if err := s.hosts.Add(host); err != nil {
		return host, candidate.Refuse(err)
	}
	candidate.Keep()
	if relay, ok := candidate.For.(relayMaker); ok {
		if host.relay, err = relay.relay(host); err != nil {
			return host, candidate.Refuse(err)
		}
	}
	if err := host.prepare(); err != nil {
		return host, candidate.Refuse(err)
	}
	return host, candidate.Answer(host.kinds)
}

// handle sees one connection through from its first byte to its end, and calls
// done then, which may be after it has returned.
func (s *networkServer) handle(ctx context.Context, conn net.Conn, done func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	ctx, cancel := context.WithCancel(ctx)
	ended := func() {
		stop()
		cancel()
		_ = conn.Close()
		done()
	}
	host, err := s.shakeHands(ctx, conn, ended)
	switch {
	case err == nil:
		host.serve()
		return
	case host != nil:
		host.end(nil)
	default:
		ended()
	}
	if errors.Is(err, admission.ErrSilent) || errors.Is(err, net.ErrClosed) {
		s.about.Debug("connection closed before a handshake", "peer", conn.RemoteAddr().String(), "error", err)
	} else {
		s.about.Warn("host refused", "peer", conn.RemoteAddr().String(), "error", err)
	}
}

// drain tells every host that the plugin is leaving, waits until the calls in
// flight have been answered, and closes the sessions. It gives up after
// DrainTimeout and says how many calls it cut off.
func (s *networkServer) drain() error {
	close(s.draining)
	hosts := s.hosts.Close()
	s.logger.Info("plugin drains", "sessions", len(hosts), "timeout", s.config.DrainTimeout.String())

	ctx, cancel := context.WithTimeout(context.Background(), s.config.DrainTimeout)
	defer cancel()
	var all wait.Group
	cut := make([]int, len(hosts))
	for i, host := range hosts {
		all.Go(func() { cut[i] = host.drain(ctx) })
	}
	all.Wait()

	lost := 0
	for _, n := range cut {
		lost += n
	}
	if lost > 0 {
		return fmt.Errorf("drain: %d calls did not finish within %v (%s) and were cut off",
			lost, s.config.DrainTimeout, env.DrainTimeout)
	}
	s.logger.Info("plugin drained")
	return nil
}
