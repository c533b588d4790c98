// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// TestBroughtCookies holds which cookies a host may bring: those that are named as the cookies
// of the plugins that there are, and none that does more in an environment than be compared.
func TestBroughtCookies(t *testing.T) {
	t.Setenv("EXPOSE_PLUGIN_SET", "by whoever has started this")
	t.Setenv("EXPOSE_PLUGIN_SAME", "secret")
	cases := map[string]struct{ names, says string }{
		"of plugins": {names: "TF_PLUGIN_MAGIC_COOKIE PACKER_PLUGIN_MAGIC_COOKIE NOMAD_PLUGIN_MAGIC_COOKIE VAULT_BACKEND_PLUGIN VAULT_DATABASE_PLUGIN " +
			"WAYPOINT_PLUGIN TFLINT_RULESET_PLUGIN grafana_plugin_type VELERO_PLUGIN ARGO_ROLLOUTS_RPC_PLUGIN BASIC_PLUGIN STORE_PLUGIN " +
			"Magic_Cookie _plugin PLUGIN COOKIE EXPOSE_PLUGIN_SAME PLUGIN" + strings.Repeat("x", maxCookieKey-len("PLUGIN"))},
		"of loaders":   {"LD_PRELOAD LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES GLIBC_TUNABLES", "does not look like a cookie"},
		"of shells":    {"PATH BASH_ENV ENV IFS PS4 PROMPT_COMMAND HOME TZ LC_ALL EDITOR", "does not look like a cookie"},
		"of runtimes":  {"GODEBUG PYTHONSTARTUP PERL5OPT NODE_OPTIONS RUBYOPT _JAVA_OPTIONS DOTNET_STARTUP_HOOKS COR_PROFILER", "does not look like a cookie"},
		"of libraries": {"OPENSSL_CONF SSLKEYLOGFILE http_proxy OTEL_EXPORTER_OTLP_ENDPOINT AWS_CONFIG_FILE KUBECONFIG VAULT_ADDR DOCKER_HOST GIT_SSH_COMMAND", "does not look like a cookie"},
		"of go-plugin": {"PLUGIN_UNIX_SOCKET_DIR PLUGIN_CLIENT_CERT PLUGIN_MIN_PORT plugin_min_port", "does not look like a cookie"},
		"of places": {"GST_PLUGIN_PATH qt_plugin_path TF_PLUGIN_CACHE_DIR A_PLUGIN_FILE A_COOKIEFILE A_PLUGIN_HOME A_PLUGIN_OPTIONS A_PLUGIN_OPTS " +
			"A_PLUGIN_COMMAND A_PLUGIN_CONFIG A_PLUGIN_PROXY", "does not look like a cookie"},
		"of types":     {"NodeAttestor KeyManager UpstreamAuthority A9", "does not look like a cookie"},
		"that are set": {"EXPOSE_PLUGIN_SET", "is set to something else"},
		"no names":     {"BASH_FUNC_PLUGIN%% 9PLUGIN A-PLUGIN A.PLUGIN PLUGIN=ä", "no name of a variable"},
		"a long name":  {"PLUGIN" + strings.Repeat("x", maxCookieKey-len("PLUGIN")+1), "65 bytes, and 64 are allowed"},
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
	for _, name := range []string{"BASH_ENV", "LD_PRELOAD", "PATH", "GODEBUG", "PLUGIN_UNIX_SOCKET_DIR", "GIT_SSH_COMMAND", childVariable} {
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
