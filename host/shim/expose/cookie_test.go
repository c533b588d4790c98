// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// TestBroughtCookies holds which cookies a host may bring: those of the plugins that there
// are, and none that does more in an environment than be compared.
func TestBroughtCookies(t *testing.T) {
	t.Setenv("EXPOSE_TEST_SET", "by whoever has started this")
	cases := map[string]struct{ names, says string }{
		"of plugins": {names: "TF_PLUGIN_MAGIC_COOKIE PACKER_PLUGIN_MAGIC_COOKIE NOMAD_PLUGIN_MAGIC_COOKIE VAULT_BACKEND_PLUGIN VAULT_DATABASE_PLUGIN " +
			"WAYPOINT_PLUGIN TFLINT_RULESET_PLUGIN grafana_plugin_type VELERO_PLUGIN ARGO_ROLLOUTS_RPC_PLUGIN BASIC_PLUGIN STORE_PLUGIN " +
			"NodeAttestor KeyManager UpstreamAuthority Notifier SVIDStore WorkloadAttestor BundlePublisher CredentialComposer A9 " + strings.Repeat("x", maxCookieKey)},
		"of loaders":  {"LD_PRELOAD LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES GCONV_PATH LOCPATH GLIBC_TUNABLES MALLOC_CONF", "programs other than the plugin read"},
		"of shells":   {"PATH BASH_ENV BASHOPTS ENV IFS SHELLOPTS PS4 CDPATH FPATH ZDOTDIR PROMPT_COMMAND HOME SHELL TMPDIR TMP TZ LC_ALL", "programs other than the plugin read"},
		"of runtimes": {"GODEBUG GOGC GOCOVERDIR PYTHONPATH PYTHONSTARTUP PERL5OPT PERL5LIB NODE_OPTIONS NODE_PATH RUBYOPT JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS CLASSPATH DOTNET_STARTUP_HOOKS LUA_INIT PHPRC", "programs other than the plugin read"},
		"of libraries": {"OPENSSL_CONF SSL_CERT_FILE SSLKEYLOGFILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE HTTPS_PROXY http_proxy no_proxy RES_OPTIONS OTEL_EXPORTER_OTLP_ENDPOINT " +
			"PLUGIN_UNIX_SOCKET_DIR PLUGIN_CLIENT_CERT Path", "programs other than the plugin read"},
		"that are set": {"EXPOSE_TEST_SET", "is set already"},
		"no names":     {"BASH_FUNC_ls%% 9A A-B A.B ä", "no name of a variable"},
		"a long name":  {strings.Repeat("x", maxCookieKey+1), "65 bytes, and 64 are allowed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for key := range strings.FieldsSeq(tc.names) {
				refusedAs(t, plugin.HandshakeConfig{MagicCookieKey: key, MagicCookieValue: "secret"}, tc.says)
			}
		})
	}
	for _, value := range []string{"a\x00b", "a\nb", "\x1b[2J", "\x7f"} {
		refusedAs(t, plugin.HandshakeConfig{MagicCookieKey: "STORE_PLUGIN", MagicCookieValue: value}, "control characters")
	}
}

// refusedAs checks that a host with the cookie is told why not; empty: that it is taken.
func refusedAs(t *testing.T, cookie plugin.HandshakeConfig, says string) {
	t.Helper()
	err := checkBrought(cookie)
	if says == "" {
		if err != nil {
			t.Errorf("%s: %v", cookie.MagicCookieKey, err)
		}
		return
	}
	refused, ok := errors.AsType[*plugin.RefusedError](err)
	if !ok || refused.Code != plugin.RefusedCookie || !strings.Contains(refused.Message, says) || strings.Contains(refused.Message, cookie.MagicCookieValue) {
		t.Errorf("%q: %v, want %q without the value", cookie.MagicCookieKey, err, says)
	}
}

// TestCookieThatRunsCode has hosts come first whose cookies would have a shell or a loader run
// code. No child is started for them, no pause begins, and the right host is served.
func TestCookieThatRunsCode(t *testing.T) {
	p, _ := newTestPool(t, Options{Share: Session})
	p.opts.Cookie, p.starter.opts.Cookie, p.cookie = plugin.HandshakeConfig{}, plugin.HandshakeConfig{}, plugin.HandshakeConfig{}
	for _, name := range []string{"BASH_ENV", "LD_PRELOAD", "PATH", "GODEBUG", "PLUGIN_UNIX_SOCKET_DIR", childVariable} {
		host, _ := attached(t, 5)
		host.Cookie.MagicCookieKey = name
		_, err := p.choose(t.Context(), host)
		if refused, ok := errors.AsType[*plugin.RefusedError](err); !ok || refused.Code != plugin.RefusedCookie {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if pids := children(t); len(pids) > 0 {
		t.Errorf("children were started: %v", pids)
	}
	if p.starter.all.last != nil || len(p.starter.mistakes) > 0 {
		t.Errorf("a pause begins: %v, %v", p.starter.all, p.starter.mistakes)
	}
	right, _ := attached(t, 5)
	if _, err := p.choose(t.Context(), right); err != nil {
		t.Errorf("the right host: %v", err)
	}
}
