// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// loopbackFiles are a certificate for 127.0.0.1, its key and its authority.
func loopbackFiles(t *testing.T) tlsfile.Files {
	t.Helper()
	authority := testkit.NewAuthority(t, "authority", nil)
	cert, key := testkit.PEM(t, authority.Issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}))
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return tlsfile.Files{Cert: file("tls.crt", cert), Key: file("tls.key", key), CA: file("ca.crt", authority.PEM())}
}

// secret is a credential that gRPC sends over TLS only.
type secret struct{}

func (secret) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer secret"}, nil
}

func (secret) RequireTransportSecurity() bool { return true }

// TestTLSToAnAddress attaches to an IP address, which is the name that its
// certificate is for, and sends credentials with a call.
func TestTLSToAnAddress(t *testing.T) {
	files := loopbackFiles(t)
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": newRelay("private")}, plugin.DefaultGRPCServer
		o.Network.TLS = tlsfile.Files{Cert: files.Cert, Key: files.Key}
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	cfg.GRPCDialOptions = []grpc.DialOption{grpc.WithPerRPCCredentials(secret{})}
	var err error
	if cfg.TLSConfig, err = tlsfile.Client(tlsfile.Files{CA: files.CA}, "", nil); err != nil {
		t.Fatal(err)
	}
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatalf("attach without a ServerName: %v", err)
	}
	defer session.Close()
	raw, err := session.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := raw.(*relay).call(t.Context(), "Name", ""); got != "private" || err != nil {
		t.Errorf("call with credentials = %q, %v", got, err)
	}
	if got, err := raw.(*relay).callback(t.Context(), "Via", "host"); got != "host" || err != nil {
		t.Errorf("callback = %q, %v", got, err)
	}
}
