// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/tlsfile"
)

// loopbackFiles is a certificate for 127.0.0.1 that is its own authority.
func loopbackFiles(t *testing.T) tlsfile.Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loopback"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := tlsfile.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	for path, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "EC PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
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
	p := serveEcho(t, func(o *ServeConfig) {
		o.Plugins, o.GRPCServer = PluginSet{"relay": newRelay("private")}, DefaultGRPCServer
		o.Network.TLS = files
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = PluginSet{"relay": &relay{}}, []Protocol{ProtocolGRPC}
	cfg.GRPCDialOptions = []grpc.DialOption{grpc.WithPerRPCCredentials(secret{})}
	var err error
	if cfg.TLSConfig, err = tlsfile.Client(tlsfile.Files{CA: files.Cert}, "", nil); err != nil {
		t.Fatal(err)
	}
	session, err := Attach(t.Context(), cfg)
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
