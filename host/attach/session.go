// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"errors"
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
	closed  func() error
}

// Details are what a dialer knows of a session and go-plugin does not.
type Details struct {
	// Certificate is the name by which the plugin identified itself, or empty.
	Certificate string
	// Instance and Build, if not empty, are better than what the plugin itself
	// can say: which run of it this is, and what it was built from.
	Instance, Build string
	// Closed, if not nil, is called by every Close, when the session itself has
	// been closed.
	Closed func() error
}

// NewSession makes a conn.Session of a session that go-plugin made. Dialers of
// placements that are not in this package use it.
func NewSession(s *plugin.Session, details Details) conn.Session {
	info := conn.Info{Protocol: string(s.Protocol()), Version: s.Version(), TLS: details.Certificate}
	if peer := s.Info(); peer != nil {
		info.Name, info.Instance = peer.Name, peer.Instance
		info.Kinds = kindsOf(peer)
		info.Build = buildOf(peer)
	}
	info.Instance = cmp.Or(details.Instance, info.Instance)
	info.Build = cmp.Or(details.Build, info.Build)
	return &remoteSession{session: s, info: info, closed: details.Closed}
}

// Info implements conn.Session.
func (s *remoteSession) Info() conn.Info { return s.info }

// Ping implements conn.Session.
func (s *remoteSession) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // An answer might be faster.
	}
	return s.session.PingContext(ctx)
}

// Draining implements conn.Session.
func (s *remoteSession) Draining() <-chan struct{} { return s.session.Draining() }

// Done implements conn.Session.
func (s *remoteSession) Done() <-chan struct{} { return s.session.Done() }

// Err implements conn.Session.
func (s *remoteSession) Err() error { return s.session.Err() }

// Close implements conn.Session.
func (s *remoteSession) Close() error {
	err := s.session.Close()
	if s.closed != nil {
		err = errors.Join(err, s.closed())
	}
	return err
}

// MuxBroker implements stub.MuxBrokerSession.
func (s *remoteSession) MuxBroker() *plugin.MuxBroker { return s.session.MuxBroker() }

// GRPCBroker implements stub.GRPCBrokerSession.
func (s *remoteSession) GRPCBroker() *plugin.GRPCBroker { return s.session.GRPCBroker() }

// OpenRPC implements stub.RPCSession.
func (s *remoteSession) OpenRPC(kind string) (plugin.RPCChannel, error) {
	return s.session.OpenRPC(kind)
}

// DialRPC asks the plugin to serve a kind over net/rpc, and gives the connection on which
// it does. It is for dialers with NetworkOptions.RawRPC. The caller closes it.
func (s *remoteSession) DialRPC(kind string) (net.Conn, error) { return s.session.DialRPC(kind) }

// ClientConn implements stub.GRPCSession.
func (s *remoteSession) ClientConn() (*grpc.ClientConn, bool) { return s.session.ClientConn() }

// InvokeUnary implements stub.GRPCUnarySession.
func (s *remoteSession) InvokeUnary(ctx context.Context, conn *grpc.ClientConn, method string, req, reply any, opts []grpc.CallOption) (sent bool, err error) {
	return s.session.InvokeUnary(ctx, conn, method, req, reply, opts)
}

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

// BuildText describes what a Go program was built from, for people: "v1.2.3
// go1.26 1a2b3c4".
func BuildText(info *buildinfo.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return buildText(info.Main.Version, info.GoVersion, settings["vcs.revision"], settings["vcs.modified"] == "true")
}

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
