// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"regexp"
	"testing"

	"github.com/reattach/reattach/host/cli/kube"
)

// TestNamesBesideKubernetes holds that no variable is one which Kubernetes sets in a
// pod for a Service whose name happens to fit.
func TestNamesBesideKubernetes(t *testing.T) {
	injected := regexp.MustCompile(`(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
	for _, like := range []string{"BASIC_PORT", "BASIC_SERVICE_HOST", "BASIC_PORT_80_TCP_ADDR", "BASIC_SERVICE_PORT_HTTP"} {
		if !injected.MatchString(like) {
			t.Errorf("the pattern does not know %s", like)
		}
	}
	seen := map[string]bool{}
	for _, v := range (Options{Name: "basic", Finders: []Finder{new(kube.Finder)}}).environment() {
		if injected.MatchString(v.name) || v.name == "" || seen[v.name] || v.meaning == "" {
			t.Errorf("variable %+v: its name collides or is missing, or it does not say what it is for", v)
		}
		seen[v.name] = true
	}
}
