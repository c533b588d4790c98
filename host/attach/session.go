// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/conn"
)

// remoteSession is a session whose plugin shook hands on the connection.
type remoteSession struct {
	session *plugin.Session
	info    conn.Info
}

// NewSession makes a conn.Session of a session that go-plugin made. certificate
// is what the plugin identified itself with, or empty. Dialers of placements
// that are not in this package use it.
func NewSession(s *plugin.Session, certificate string) conn.Session {
	info := conn.Info{Protocol: string(s.Protocol()), Version: s.Version(), TLS: certificate}
	if peer := s.Info(); peer != nil {
		info.Name, info.Instance = peer.Name, peer.Instance
		info.Kinds = kindsOf(peer)
		info.Build = buildOf(peer)
	}
	return &remoteSession{session: s, info: info}
}

func (s *remoteSession) Info() conn.Info                { return s.info }
func (s *remoteSession) Ping(ctx context.Context) error { return s.session.PingContext(ctx) }
func (s *remoteSession) Draining() <-chan struct{}      { return s.session.Draining() }
func (s *remoteSession) Done() <-chan struct{}          { return s.session.Done() }
func (s *remoteSession) Err() error                     { return s.session.Err() }
func (s *remoteSession) Close() error                   { return s.session.Close() }

// OpenRPC implements stub.RPCSession.
func (s *remoteSession) OpenRPC(kind string) (net.Conn, error) { return s.session.OpenRPC(kind) }

// ClientConn implements stub.GRPCSession.
func (s *remoteSession) ClientConn() (*grpc.ClientConn, bool) { return s.session.ClientConn() }

// kindsOf gives the kinds that a plugin listed. A list that was cut short is as
// good as none: what is missing from it may be served.
func kindsOf(peer *plugin.PeerInfo) []conn.Kind {
	if peer.Partial {
		return nil
	}
	kinds := make([]conn.Kind, 0, len(peer.Kinds))
	for _, k := range peer.Kinds {
		kind := conn.Kind{Name: k.Name}
		for _, m := range k.Methods {
			kind.Methods = append(kind.Methods, conn.Method(m))
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// buildOf gives "v1.2.3 go1.26 1a2b3c4".
func buildOf(peer *plugin.PeerInfo) string {
	b := peer.Build
	if b == nil {
		return ""
	}
	return buildText(b.Version, b.Go, b.Revision, b.Modified)
}

// buildText leaves out what is not known.
func buildText(version, goVersion, revision string, modified bool) string {
	const short = 12
	revision = revision[:min(len(revision), short)]
	if modified {
		revision = cmp.Or(revision, "source") + "+changes"
	}
	return strings.Join(strings.Fields(version+" "+goVersion+" "+revision), " ")
}
