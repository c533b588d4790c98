// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"
)

// maxCookieKey is how long the name of a cookie may be that a host brings, in bytes.
const maxCookieKey = 64

// portableName is a name that every shell takes for that of a variable.
var portableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// readByOthers are the variables that loaders, shells, language runtimes and their libraries
// for TLS and HTTP read before, or beside, the plugin's own code, in capitals. It errs on the
// side of too many: who has a cookie of such a name gives it with --cookie.
var readByOthers = struct{ names, prefixes, suffixes []string }{
	names: []string{
		"ENV", "HOME", "HOSTALIASES", "IFS", "LANG", "LANGUAGE", "LOCALDOMAIN", "PHPRC", "PROMPT_COMMAND", "PS4", "SHELL", "SHELLOPTS",
		"TEMP", "TMP", "TMPDIR", "TZ", "TZDIR", "ZDOTDIR",
	},
	prefixes: []string{
		"BASH", "CORECLR_", "CURL_", "DOTNET_", "DYLD_", "ERL_", "GLIBC_", "GO", "JAVA", "JDK_", "LC_", "LD_", "LUA_", "MALLOC_",
		"NODE_", "OPENSSL_", "OTEL_", "PERL", "PHP_", "PLUGIN_", "PYTHON", "REQUESTS_", "RUBY", "RUST_", "SSL", "XDG_", "_JAVA",
	},
	suffixes: []string{"PATH", "_OPTIONS", "_PROXY"},
}

// isReadByOthers reports whether somebody else than the plugin reads the variable.
func isReadByOthers(name string) bool {
	name = strings.ToUpper(name) // as curl reads http_proxy
	return slices.Contains(readByOthers.names, name) ||
		slices.ContainsFunc(readByOthers.prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) ||
		slices.ContainsFunc(readByOthers.suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// checkBrought refuses a host that brings a cookie which could do more in the environment of
// a child than be compared. What whoever started this program has named is not checked.
func checkBrought(cookie plugin.HandshakeConfig) error {
	name, what := cookie.MagicCookieKey, ""
	switch _, set := os.LookupEnv(name); {
	case len(name) > maxCookieKey:
		what = fmt.Sprintf("has a name of %d bytes, and %d are allowed", len(name), maxCookieKey)
	case !portableName.MatchString(name):
		what = fmt.Sprintf("is named %q, which is no name of a variable", name)
	case strings.ContainsFunc(cookie.MagicCookieValue, isControl):
		what = fmt.Sprintf("%q has control characters", name)
	case isReadByOthers(name):
		what = fmt.Sprintf("is named %q, which programs other than the plugin read", name)
	case set:
		what = fmt.Sprintf("is named %q, which is set already where the plugin is started", name)
	default:
		return nil
	}
	return &plugin.RefusedError{
		Code: plugin.RefusedCookie, Message: "the host's magic cookie " + what + ": if it is the plugin's, name it with --cookie where basic expose runs",
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
