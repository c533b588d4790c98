// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

// pairFiles writes a certificate for name that ends then, with the authority's own.
func pairFiles(t *testing.T, authority *kit.Authority, name string, notAfter time.Time) tlsfile.Files {
	t.Helper()
	pair := authority.Issue(&x509.Certificate{
		DNSNames: []string{name}, NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	cert, key := kit.PEM(t, pair)
	dir := t.TempDir()
	files := tlsfile.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt")}
	kit.Replace(t, files.Cert, cert)
	kit.Replace(t, files.Key, key)
	kit.Replace(t, files.CA, authority.PEM())
	return files
}

func TestCertificateInMetrics(t *testing.T) {
	authority, registry := kit.NewAuthority(t), prometheus.NewPedanticRegistry()
	o := options("greeter=127.0.0.1:1") // nobody is there: no session is needed
	notAfter := time.Now().Add(20 * time.Minute)
	o.Registerer, o.TLS = registry, pairFiles(t, authority, "host", notAfter)
	start(t, o)
	const name = "reattach_certificate_not_after_timestamp_seconds"
	got, err := gather(registry)
	if err != nil || got[name] != float64(notAfter.Unix()) {
		t.Errorf("%s is %v, %v, want %v", name, got[name], err, notAfter.Unix())
	}
	if began := got["reattach_certificate_not_before_timestamp_seconds"]; began <= 0 || began >= float64(time.Now().Unix()) {
		t.Errorf("the certificate begins at %v", began)
	}
	// One that is renewed is seen, without a session.
	later := notAfter.Add(time.Hour)
	renewed := pairFiles(t, authority, "host", later)
	for from, to := range map[string]string{renewed.Cert: o.TLS.Cert, renewed.Key: o.TLS.Key} {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		kit.Replace(t, to, raw)
	}
	eventually(t, func() error {
		got, err := gather(registry)
		if err == nil && got[name] != float64(later.Unix()) {
			err = fmt.Errorf("%s is %v, want %v", name, got[name], later.Unix())
		}
		return err
	})
}

// TestMetricsOfManyPlugins holds what a scrape of many plugins costs: a megabyte for a
// thousand that are called.
func TestMetricsOfManyPlugins(t *testing.T) {
	const plugins, most = 100, 1000 // plugins; bytes of each
	address := serveWith(t, func(c *plugin.ServeConfig) { c.Network.Name = "" })
	registry, source := prometheus.NewRegistry(), manual.New("hand")
	o := options("")
	o.Sources, o.Registerer = []discovery.Source{source}, registry
	d, _ := start(t, o)
	group := target.Group{Key: "g"}
	for i := range plugins {
		name := fmt.Sprintf("plugin-%04d", i)
		group.Endpoints = append(group.Endpoints, target.Endpoint{
			ID: target.MakeID(name, address), Plugin: name, Placement: target.Network, Address: address,
		})
	}
	source.Update(group)
	for _, e := range group.Endpoints {
		eventually(t, func() error {
			_, err := d.Call(t.Context(), e.Plugin, "greeter", "Greet", json.RawMessage(`["Ada"]`))
			return err
		})
	}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	size := answer.Body.Len()
	if size < plugins*500 || size > plugins*most {
		t.Errorf("a scrape of %d plugins has %d bytes, want at most %d a plugin, and more than nothing", plugins, size, most)
	}
	t.Logf("%d bytes a plugin", size/plugins)
}

// serveWith serves a greeter until the test ends, with what change makes of the usual.
func serveWith(t *testing.T, change func(*plugin.ServeConfig)) (address string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &plugin.ServeConfig{
		HandshakeConfig: commons.Handshake(), GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		VersionedPlugins: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{greeting: "Hello"}}}),
		Network:          &plugin.NetworkConfig{Name: "greeter", DrainTimeout: time.Second},
	}
	change(config)
	served := make(chan error, 1)
	go func() { served <- plugin.ServeListener(t.Context(), lis, config) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}
