// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"crypto/tls"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/test/kit"
)

// pki is a CA with a certificate for a plugin and one for a host, in files.
type pki struct {
	dir       string
	host      tlsfile.Files
	plugin    tlsfile.Files
	pluginEnv []string
}

func newPKI(t *testing.T, name string) pki {
	t.Helper()
	p := pki{dir: t.TempDir()}
	p.write(t, name)
	at := func(file string) string { return filepath.Join(p.dir, file) }
	p.host = tlsfile.Files{Cert: at("host.crt"), Key: at("host.key"), CA: at("ca.crt")}
	p.plugin = tlsfile.Files{Cert: at("plugin.crt"), Key: at("plugin.key"), CA: at("ca.crt")}
	p.pluginEnv = []string{
		"PLUGIN_TLS_CERT_FILE=" + p.plugin.Cert, "PLUGIN_TLS_KEY_FILE=" + p.plugin.Key, "PLUGIN_TLS_CLIENT_CA_FILE=" + p.plugin.CA,
	}
	return p
}

// write issues everything anew, with another CA.
func (p pki) write(t *testing.T, name string) {
	t.Helper()
	ca := kit.NewAuthority(t)
	kit.Replace(t, filepath.Join(p.dir, "ca.crt"), ca.PEM())
	for file, dns := range map[string]string{"host": "host", "plugin": name} {
		cert, key := kit.PEM(t, ca.Named(dns))
		kit.Replace(t, filepath.Join(p.dir, file+".crt"), cert)
		kit.Replace(t, filepath.Join(p.dir, file+".key"), key)
	}
}

func withTLS(files tlsfile.Files) func(*attach.NetworkOptions) {
	return func(o *attach.NetworkOptions) { o.TLS = files }
}

func TestNetworkTLS(t *testing.T) {
	files := newPKI(t, "zh")
	other := newPKI(t, "zh")
	caOnly := tlsfile.Files{CA: files.host.CA}
	serverTLS := func(f tlsfile.Files) func(*plugin.ServeConfig) {
		return func(c *plugin.ServeConfig) {
			c.TLSProvider = func() (*tls.Config, error) { return tlsfile.Server(f, nil) }
		}
	}
	cases := map[string]struct {
		reason     string
		plugin     func(*plugin.ServeConfig)
		host       func(*attach.NetworkOptions)
		name       string // of the plugin
		serverName string // of the endpoint
		want       []string
		identity   string
	}{
		"mutual": {
			reason: "the certificate is for the plugin's name", name: "zh",
			plugin: serverTLS(files.plugin), host: withTLS(files.host), identity: "zh",
		},
		"server name": {
			reason: "an endpoint may say another name", name: "en", serverName: "zh",
			plugin: serverTLS(files.plugin), host: withTLS(files.host), identity: "zh",
		},
		"allowed by name": {
			reason: "one old plugin among others that speak TLS", name: "zh",
			host: func(o *attach.NetworkOptions) { o.TLS, o.PlainPlugins = files.host, []string{"zh"} },
		},
		"plain refused": {
			reason: "with a CA, plain TCP is a way around it", name: "zh", host: withTLS(caOnly),
			want: []string{"does not speak TLS", "option TLS.CA", `allow plain TCP to "zh"`},
		},
		"other name": {
			reason: "another plugin answers at the address", name: "en",
			plugin: serverTLS(files.plugin), host: withTLS(files.host), want: []string{`must be for "en"`},
		},
		"other CA": {
			reason: "nobody vouches for the plugin", name: "zh",
			plugin: serverTLS(other.plugin), host: withTLS(files.host), want: []string{"unknown authority"},
		},
		"no certificate": {
			reason: "the plugin wants one of the host", name: "zh",
			plugin: serverTLS(files.plugin), host: withTLS(caOnly), want: []string{"certificate"},
		},
		"host without TLS": {
			reason: "the plugin says that it wants TLS", name: "zh",
			plugin: serverTLS(files.plugin), host: func(*attach.NetworkOptions) {}, want: []string{"TLS"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e, _ := inTest(t, tc.plugin)
			e.Plugin, e.ServerName = tc.name, tc.serverName
			session, err := networkDialer(t, tc.host).Dial(t.Context(), e)
			if err == nil {
				defer session.Close()
			}
			if tc.want == nil {
				if err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				if got := session.Info().TLS; got != tc.identity {
					t.Errorf("%s: the plugin is %q, want %q", tc.reason, got, tc.identity)
				}
				return
			}
			if err == nil {
				t.Fatalf("%s: attached", tc.reason)
			}
			for _, part := range append(tc.want, e.Address) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %q lacks %q", tc.reason, err, part)
				}
			}
			if errors.Is(err, conn.ErrPermanent) {
				t.Errorf("%s: certificates can be renewed, but %v is permanent", tc.reason, err)
			}
		})
	}
}

// TestNetworkTLSRotation replaces every file under a dialer and a plugin that
// have used the old ones.
func TestNetworkTLSRotation(t *testing.T) {
	files := newPKI(t, "zh")
	e, _ := inTest(t, func(c *plugin.ServeConfig) {
		c.TLSProvider = func() (*tls.Config, error) { return tlsfile.Server(files.plugin, nil) }
	})
	dialer := networkDialer(t, withTLS(files.host))
	for range 2 {
		session, err := dialer.Dial(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		files.write(t, "zh")
	}
}

func TestNetworkTLSFilesAreReadAtOnce(t *testing.T) {
	files := newPKI(t, "zh")
	cases := map[string]struct {
		reason string
		files  tlsfile.Files
		want   string
	}{
		"half a pair": {"the missing half is named", tlsfile.Files{Cert: files.host.Cert}, "option TLS.Key is missing"},
		"no file":     {"so is a file that is not there", tlsfile.Files{CA: "/nowhere/ca.crt"}, "option TLS.CA (/nowhere/ca.crt)"},
		"own name":    {"a host may call its settings otherwise", tlsfile.Files{CA: "/nowhere/ca.crt", CAName: "MY_CA"}, "MY_CA (/nowhere/ca.crt)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := attach.Network(attach.NetworkOptions{Contract: contract(), TLS: tc.files})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
