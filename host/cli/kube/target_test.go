// SPDX-License-Identifier: MPL-2.0

package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

func TestTarget(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "config")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x"}}],"clusters":[{"name":"x","cluster":{"server":"http://127.0.0.1:1"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ reason, in, want string }{
		"Service":     {"the namespace comes first, as in names of pods", "k8s:///plugins/store", "store true <nil>"},
		"NoService":   {"a namespace is no plugin", "k8s:///plugins", " true write k8s:///NAMESPACE/SERVICE"},
		"NoNamespace": {"nor is a Service without one", "k8s:///", " true write k8s:///NAMESPACE/SERVICE"},
		"BadName":     {"what cannot be a Service is told at once", "k8s:///plugins/Sto re", ""},
		"Other":       {"all else is for others", "store:7000", " false <nil>"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, plugin, ok, err := (&Finder{Kubeconfig: kubeconfig}).Target(tc.in, hclog.NewNullLogger())
			got := fmt.Sprintln(plugin, ok, err)
			if tc.want == "" { // the words are Kubernetes's
				if !ok || err == nil {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if diff := cmp.Diff(tc.want+"\n", got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
