// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTenants holds what deploy/tenants lets the namespaces of tenants do.
func TestTenants(t *testing.T) {
	policy, err := os.ReadFile("../../deploy/tenants/admission.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, label := range map[string]string{"e2e-stranger": "", "e2e-tenant": "reattach.dev/tenant=blue", "e2e-trusted": "reattach.dev/tenant=trusted"} {
		namespace(t, name)
		if label != "" {
			kubectl(t, "label", "namespace", name, label)
		}
	}
	apply(t, string(policy))
	t.Cleanup(func() { _, _ = try(context.Background(), string(policy), "delete", "-f", "-", "--ignore-not-found") })
	service := func(namespace, name, annotations string) error {
		_, err := try(t.Context(), fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, labels: {reattach.dev/plugin: \"true\"}, annotations: {%s}}\nspec: {ports: [{name: plugin, port: 7000}]}\n",
			name, annotations), "create", "--dry-run=server", "-n", namespace, "-f", "-")
		return err
	}
	until(t, "the policy is in force", func() bool { return service("e2e-stranger", "probe", "") != nil })
	for name, tc := range map[string]struct{ namespace, annotations, refusal string }{
		"plugin":          {"e2e-tenant", "", ""},
		"port":            {"e2e-tenant", "reattach.dev/port: plugin", ""},
		"stranger":        {"e2e-stranger", "", "lacks the label reattach.dev/tenant"},
		"required":        {"e2e-tenant", `reattach.dev/required: "true"`, "takes hosts out of service"},
		"other-name":      {"e2e-tenant", "reattach.dev/tls-server-name: pluginzh", "chooses a certificate"},
		"trusted":         {"e2e-trusted", `reattach.dev/required: "true", reattach.dev/tls-server-name: pluginzh`, ""},
		"trusted-neither": {"e2e-trusted", "", ""},
	} {
		err := service(tc.namespace, name, tc.annotations)
		if (err == nil) != (tc.refusal == "") || err != nil && !strings.Contains(err.Error(), tc.refusal) {
			t.Errorf("%s in %s: %v, want %q", name, tc.namespace, err, tc.refusal)
		}
	}
	kubectl(t, "create", "service", "clusterip", "web", "-n", "e2e-stranger", "--tcp=80:80")
	if _, err := try(t.Context(), "", "label", "service", "web", "-n", "e2e-stranger", "reattach.dev/plugin=true"); err == nil {
		t.Error("a Service of a stranger became a plugin by a label")
	}
	patch := `{"metadata":{"labels":{"reattach.dev/plugin":"true"}}}`
	if _, err := try(t.Context(), "", "patch", "service", "web", "-n", "e2e-stranger", "--subresource=status", "--type=merge", "-p", patch); err == nil {
		t.Error("a Service of a stranger became a plugin by way of its status")
	}
}
