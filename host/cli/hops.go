// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/daemon"
)

func (p *prober) resolve(ctx context.Context) (string, error) {
	if p.address.Network() == "unix" {
		info, err := os.Stat(p.address.String())
		switch {
		case err != nil:
			return "", err
		case info.Mode().Type() != os.ModeSocket:
			return "", fmt.Errorf("%s is no socket: %s", p.address, info.Mode())
		}
		return fmt.Sprintf("%s is a socket, %s", p.address, info.Mode()), nil
	}
	host, _, err := net.SplitHostPort(p.address.String())
	if err != nil {
		return "", err
	}
	if net.ParseIP(host) != nil {
		return host + " is an address", nil
	}
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return "", err
	}
	return host + " is " + strings.Join(found, ", "), nil
}

func (p *prober) connect(ctx context.Context) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, p.address.Network(), p.address.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	return "connected to " + c.RemoteAddr().String(), nil
}

// tlsConfig gives nil where plain TCP is spoken.
func (p *prober) tlsConfig() (*tls.Config, error) {
	files := p.config.tls()
	if files.IsZero() || slices.Contains(p.config.TLSPlainPlugins, p.name) {
		return nil, nil
	}
	return tlsfile.Client(files, p.name, p.options.Logger)
}

func (p *prober) secure(ctx context.Context) (string, error) {
	config, err := p.tlsConfig()
	if err != nil {
		return "", err
	}
	if config == nil {
		return "none: plain TCP, as HOST_TLS_CA_FILE is not set or the plugin is exempt", nil
	}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, p.address.Network(), p.address.String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	state := c.(*tls.Conn).ConnectionState()
	shown := state.PeerCertificates[0]
	names := slices.Clone(shown.DNSNames)
	for _, ip := range shown.IPAddresses {
		names = append(names, ip.String())
	}
	return fmt.Sprintf("%s, certificate of %s, valid until %s", tls.VersionName(state.Version),
		strings.Join(names, ", "), shown.NotAfter.UTC().Format(time.RFC3339)), nil
}

func (p *prober) hello(ctx context.Context) (string, error) {
	versions, err := p.options.AllVersions()
	if err != nil {
		return "", err
	}
	config := attach.Contract{Handshake: p.options.Handshake, Versions: versions}.ClientConfig(p.name)
	config.Reattach = &plugin.ReattachConfig{Addr: p.address}
	config.DialTimeout, config.PingTimeout, config.KeepaliveInterval = p.config.AttachTimeout, p.config.AttachTimeout, -1
	config.Logger = p.options.Logger
	if config.TLSConfig, err = p.tlsConfig(); err != nil {
		return "", err
	}
	if p.session, err = plugin.Attach(ctx, config); err != nil {
		return "", err
	}
	p.info = attach.NewSession(p.session, attach.Details{}).Info()
	if p.session.Info() == nil {
		return "none: the plugin knows no handshake on the wire", nil
	}
	return strings.TrimSpace(fmt.Sprintf("%s, instance %s, built by %s", p.info.Name, p.info.Instance, cmp.Or(p.info.Build, "-"))), nil
}

func (p *prober) version(context.Context) (string, error) {
	return fmt.Sprintf("%d over %s", p.session.Version(), p.session.Protocol()), nil
}

// kinds fails where the host's interfaces have methods that the plugin lacks.
func (p *prober) kinds(context.Context) (string, error) {
	if p.info.Kinds == nil {
		return "the plugin does not tell", nil
	}
	said := make([]string, 0, len(p.info.Kinds))
	for _, k := range p.info.Kinds {
		names := make([]string, 0, len(k.Methods))
		for _, m := range k.Methods {
			names = append(names, m.Name)
		}
		said = append(said, k.Name+" {"+strings.Join(names, ", ")+"}")
	}
	if err := daemon.CheckContract(p.options.Kinds, p.info); err != nil {
		return "", err
	}
	return strings.Join(said, ", "), nil
}

var errDraining = errors.New("the plugin is about to leave: it takes no new calls")

// health asks a gRPC plugin, and a server that knows no name for it as a whole; one of
// net/rpc has no more to say than its ping.
func (p *prober) health(ctx context.Context) (string, error) {
	select {
	case <-p.session.Draining():
		return "", errDraining
	default:
	}
	c, ok := p.session.ClientConn()
	if !ok {
		return "not draining; net/rpc tells no more", nil
	}
	client := grpc_health_v1.NewHealthClient(c)
	answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if status.Code(err) == codes.NotFound {
		answer, err = client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	}
	if status.Code(err) == codes.Unimplemented {
		return "the plugin has no health service", nil
	}
	if err != nil {
		return "", err
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return "", fmt.Errorf("%w: health is %s", errDraining, answer.GetStatus())
	}
	return answer.GetStatus().String(), nil
}

func (p *prober) ping(ctx context.Context) (string, error) {
	if err := p.session.PingContext(ctx); err != nil {
		return "", err
	}
	return "answered", nil
}

// hint says what to look at when a hop fails.
func (p *prober) hint(hop string, err error) string {
	timeout, ok := errors.AsType[net.Error](err)
	late := ok && timeout.Timeout() || time.Since(p.began) >= p.config.AttachTimeout
	if late && hop != p.address.Network() && hop != "resolve" {
		return "nothing came back within ATTACH_TIMEOUT: the peer listens and does not answer; is it a plugin, and does it run?"
	}
	switch hop {
	case "unix":
		if errors.Is(err, fs.ErrPermission) {
			return "this user may not write to the socket: give it a group that both have (PLUGIN_UNIX_SOCKET_GROUP), or another mode (PLUGIN_UNIX_SOCKET_MODE)"
		}
		return "nothing listens there: the plugin that made the socket has ended, or was killed"
	case "resolve":
		if p.address.Network() == "unix" {
			return "does the plugin run with PLUGIN_HOST=unix://" + p.address.String() + ", and do both see the same directory?"
		}
		return "is the name right, and known to this machine's resolver? In Kubernetes it is SERVICE.NAMESPACE"
	case "tcp":
		if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
			return "packets vanish: look at firewalls, NetworkPolicies, and whether the address is still in use"
		}
		return "nothing listens there: is the plugin in network mode (PLUGIN_HOST), and on this port (PLUGIN_MIN_PORT, PLUGIN_MAX_PORT)?"
	case "tls":
		return "does the plugin speak TLS (PLUGIN_TLS_CERT_FILE), does HOST_TLS_CA_FILE vouch for its certificate, and does that name " + p.name + "? --server-name asks for another"
	case "hello":
		if errors.Is(err, plugin.ErrNotPlugin) || errors.Is(err, plugin.ErrTLS) {
			return "another program listens there, or TLS is spoken on one side only: look at the address, at the plugin's port " +
				"(PLUGIN_MIN_PORT, PLUGIN_MAX_PORT), at HOST_TLS_CA_FILE here and PLUGIN_TLS_CERT_FILE there"
		}
		return "is it a plugin of this host's family (cookie, versions), and does it expect TLS (HOST_TLS_CA_FILE) or this host's certificate (HOST_TLS_CERT_FILE)?"
	case "kinds":
		return "the plugin is older than this host's interface: build it against the present one; other methods work as ever"
	case "health":
		return "it is being replaced or stopped: another instance should take its place"
	}
	return "the plugin accepted the connection and does not answer: look at its log"
}
