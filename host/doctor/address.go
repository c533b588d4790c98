// SPDX-License-Identifier: MPL-2.0

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

// Address is where a network plugin is, and what its host expects of it.
type Address struct {
	// Address is host:port or unix:///path. It must be valid.
	Address string
	// ServerName is the name that the plugin's certificate must carry.
	ServerName string
	// Contract and Kinds are the host's.
	Contract attach.Contract
	Kinds    []daemon.Kind
	// TLS names the host's files. Without any, plain TCP is spoken.
	TLS tlsfile.Files
	// Timeout bounds each hop.
	Timeout time.Duration
	// Resolver looks names up for the hop that does so. Nil is net.DefaultResolver.
	Resolver *net.Resolver
	// Then are hops behind those to the plugin, such as a call. They are taken while the
	// session is there.
	Then []Hop
	// Logger is used by the session. Nil is silent.
	Logger hclog.Logger
}

// Walk takes the hops to the address, as the function [Walk] does. It ends with no
// session left.
func (a Address) Walk(ctx context.Context, tell func(Step)) (*Finding, error) {
	a.Logger, a.Resolver = cmp.Or(a.Logger, hclog.NewNullLogger()), cmp.Or(a.Resolver, net.DefaultResolver)
	v := &visit{Address: a, to: target.NetAddr(a.Address)}
	defer v.leave()
	return Walk(ctx, a.Address, a.Timeout, append([]Hop{
		{HopResolve, v.resolve},
		{HopConnect, v.connect},
		{HopTLS, v.secure},
		{HopHello, v.hello},
		{HopVersion, v.version},
		{HopContract, v.contract},
		{HopHealth, v.health},
		{HopPing, v.ping},
	}, a.Then...), tell)
}

// AddressHops are the names of the hops to an address, in order.
func AddressHops() []string {
	return []string{HopResolve, HopConnect, HopTLS, HopHello, HopVersion, HopContract, HopHealth, HopPing}
}

// visit is one walk to an address.
type visit struct {
	Address
	to net.Addr

	session *plugin.Session
	info    conn.Info // of session
	refused error     // why there is no session, if version or protocol is
}

func (v *visit) leave() {
	if v.session != nil {
		_ = v.session.Close()
	}
}

func (v *visit) resolve(ctx context.Context) (string, error) {
	if v.to.Network() == "unix" {
		return v.lookAtSocket()
	}
	host, _, err := net.SplitHostPort(v.to.String())
	if err != nil {
		return "", err // was validated
	}
	if net.ParseIP(host) != nil {
		return host + " is an address", nil
	}
	found, err := v.Resolver.LookupHost(ctx, host)
	if err == nil {
		return host + " is " + strings.Join(found, ", "), nil
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return "", Find(NameUnknown, "%v", err)
	}
	return "", Find(NameUnanswered, "%v", err)
}

func (v *visit) lookAtSocket() (string, error) {
	info, err := os.Stat(v.to.String())
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", Find(SocketForbidden, "%v", err)
	case err != nil:
		return "", Find(NoSocket, "%v", err)
	case info.Mode().Type() != os.ModeSocket:
		return "", Find(NoSocket, "%s is no socket: %s", v.to, info.Mode())
	}
	return fmt.Sprintf("%s is a socket, %s", v.to, info.Mode()), nil
}

func (v *visit) connect(ctx context.Context) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, v.to.Network(), v.to.String())
	if err == nil {
		defer c.Close()
		return "connected to " + c.RemoteAddr().String(), nil
	}
	switch {
	case v.to.Network() == "unix" && errors.Is(err, fs.ErrPermission):
		return "", Find(SocketForbidden, "%v", err)
	case v.to.Network() == "unix":
		return "", Find(SocketUnused, "%v", err)
	case isRefused(err):
		return "", Find(ConnectionRefused, "%v", err)
	}
	return "", Find(PacketsVanish, "%v", err)
}
