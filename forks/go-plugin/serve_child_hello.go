// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"net"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// childSessions serves the host of a child that shakes hands, and others that reattach
// to it, as a network plugin serves its hosts: each connection is a session. But the
// plugin waits for whoever takes its output, ends when a host asks it to, crashes when a
// method panics, and bounds no message. It implements [ServerProtocol].
type childSessions struct {
	server *networkServer
	source *stdio.Source
}

// newChildSessions returns what serves a child, which calls quit when it is to end.
func newChildSessions(opts *ServeConfig, secure *tls.Config, hostVersions []int, logger hclog.Logger, source *stdio.Source, quit func()) (*childSessions, error) {
	served := *opts
	served.Network = &NetworkConfig{MaxMessageBytes: -1, OneServer: true, ExitOnPanic: true}
	served.TLSProvider = func() (*tls.Config, error) { return secure, nil }
	server, err := newNetworkServer(&served, hostVersions, logger, source, sync.OnceFunc(quit))
	if err != nil {
		return nil, err
	}
	// Its own host was told the version. Another one that reattaches negotiates none, as
	// with the original library.
	server.handshaker.HangUp()
	return &childSessions{server, source}, nil
}

// Init lets the plugin register what it serves over gRPC, while its host still waits for
// the line.
func (s *childSessions) Init() error {
	factory := s.server.services[s.server.announced.version]
	if factory == nil {
		return nil
	}
	return factory.Prepare(s.server.logger)
}

// Config returns "": there is no configuration.
func (*childSessions) Config() string { return "" }

// Serve serves until a host asks for the end. SIGTERM lets the calls in flight finish
// first, and tells the hosts to call elsewhere; a second one ends the process at once.
func (s *childSessions) Serve(lis net.Listener) {
	defer s.server.quit()
	defer s.source.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer context.AfterFunc(ctx, stop)()
	if err := s.server.serve(ctx, lis); err != nil {
		s.server.logger.Error("plugin ends", "error", err)
	}
}
