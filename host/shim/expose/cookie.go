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

// otherEnds are how names end whose variables say what to run, to read, or where: there are
// such ones with PLUGIN in them, as GST_PLUGIN_PATH and TF_PLUGIN_CACHE_DIR.
var otherEnds = []string{"PATH", "DIR", "FILE", "HOME", "OPTIONS", "OPTS", "COMMAND", "CONFIG", "PROXY"}

// looksLikeCookie reports whether a variable is named as cookies are. What is named otherwise
// may be read by anything in the child: by its loader, its runtime, its libraries, and by the
// programs that it starts. No list of those is complete.
func looksLikeCookie(name string) bool {
	name = strings.ToUpper(name) // grafana_plugin_type is one
	return (strings.Contains(name, "PLUGIN") || strings.Contains(name, "COOKIE")) &&
		!strings.HasPrefix(name, "PLUGIN_") && // those of go-plugin
		!slices.ContainsFunc(otherEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}

// checkBrought refuses a host that brings a cookie which could do more in the environment of
// a child than be compared. What whoever started this program has named is not checked.
func checkBrought(cookie plugin.HandshakeConfig) error {
	var what string
	name := cookie.MagicCookieKey
	switch value, set := os.LookupEnv(name); {
	case len(name) > maxCookieKey:
		what = fmt.Sprintf("has a name of %d bytes, and %d are allowed", len(name), maxCookieKey)
	case !portableName.MatchString(name):
		what = fmt.Sprintf("is named %q, which is no name of a variable", name)
	case strings.ContainsFunc(cookie.MagicCookieValue, isControl):
		what = fmt.Sprintf("%q has control characters", name)
	case !looksLikeCookie(name):
		what = fmt.Sprintf("is named %q, which does not look like a cookie", name)
	case set && value != cookie.MagicCookieValue:
		what = fmt.Sprintf("is named %q, which is set to something else where the plugin is started", name)
	default:
		return nil
	}
	return &plugin.RefusedError{
		Code: plugin.RefusedCookie, Message: "the host's magic cookie " + what + ": if it is the plugin's, name it with --cookie where basic expose runs",
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
