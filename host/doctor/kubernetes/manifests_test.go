// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/doctor"
)

// planned is a host and a plugin with all that they need.
const planned = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: basic}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: basic}
rules:
  - {apiGroups: [""], resources: [services], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
  - {apiGroups: [""], resources: [events], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: basic}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: basic}
subjects: [{kind: ServiceAccount, name: basic}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: basic}
spec:
  template:
    metadata: {labels: {app: basic}}
    spec:
      serviceAccountName: basic
      containers:
        - name: basic
          args: [serve]
          env:
            - {name: KUBE_SELECTOR, value: reattach.dev/plugin}
            # host
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: zh}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: zh}}
    spec:
      containers:
        - name: plugin
          ports: [{name: plugin, containerPort: 7000}, {name: health, containerPort: 8080}]
          env:
            - {name: PLUGIN_HOST, value: "true"}
            # plugin
---
apiVersion: v1
kind: Service
metadata:
  name: zh
  labels: {reattach.dev/plugin: "true"}
  annotations: {} # annotated
spec:
  selector: {app: zh}
  ports: [{name: plugin, port: 7000, targetPort: plugin}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: zh}
spec:
  podSelector: {matchLabels: {app: zh}}
  policyTypes: [Ingress, Egress]
  ingress:
    - {from: [{podSelector: {matchLabels: {app: basic}}}], ports: [{port: 7000}]}
    - {ports: [{port: 8080}]}
  egress: []
`

const egress = `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec:
  podSelector: {matchLabels: {app: basic}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: zh}}}], ports: [{port: 53}]}]
`

// findings walks ways, and gives the first finding, and all warnings.
func findings(t *testing.T, ways []doctor.Way) (first *doctor.Finding, warnings []doctor.Code) {
	t.Helper()
	for _, w := range ways {
		found, err := doctor.Walk(t.Context(), w.Target, time.Minute, w.Hops, func(s doctor.Step) {
			if s.Outcome == doctor.Warning {
				warnings = append(warnings, s.Finding.Code)
			}
			if s.Finding != nil && s.Hop != s.Finding.Hop {
				t.Errorf("step %+v", s)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = found
		}
	}
	return first, warnings
}

// TestPlanned breaks manifests in one place each.
func TestPlanned(t *testing.T) {
	cases := map[string]struct {
		reason  string
		replace []string // old and new
		want    doctor.Code
		hop     string
	}{
		"healthy":           {"nothing is wrong", nil, "", ""},
		"no rights":         {"the role has no slices", []string{"resources: [endpointslices], verbs: [list, watch]", "resources: [endpointslices], verbs: [list]"}, doctor.NoRights, "rights"},
		"unbound":           {"the binding is for another account", []string{"subjects: [{kind: ServiceAccount, name: basic}]", "subjects: [{kind: ServiceAccount, name: other}]"}, doctor.NoRights, "rights"},
		"no label":          {"a port named plugin says what is meant", []string{`labels: {reattach.dev/plugin: "true"}`, "labels: {app: zh}"}, doctor.NoLabel, "label"},
		"other label":       {"the host looks for another one", []string{"value: reattach.dev/plugin", "value: example.org/plugin"}, doctor.NoLabel, "label"},
		"other namespace":   {"the host looks elsewhere", []string{"# host", "- {name: KUBE_NAMESPACES, value: \"staging\"}"}, doctor.OtherNamespace, "label"},
		"ExternalName":      {"it has no pods", []string{"spec:\n  selector: {app: zh}", "spec:\n  type: ExternalName\n  externalName: example.org"}, doctor.ExternalName, "service"},
		"annotation":        {"there is no such port", []string{"annotations: {}", `annotations: {reattach.dev/port: "70000"}`}, doctor.BadAnnotation, "ports"},
		"required":          {"neither true nor false", []string{"annotations: {}", `annotations: {reattach.dev/required: perhaps}`}, doctor.BadAnnotation, "ports"},
		"port name":         {"the Service has none of that name", []string{"annotations: {}", `annotations: {reattach.dev/port: grpc}`}, doctor.NoPort, "ports"},
		"two ports":         {"none is named plugin", []string{"ports: [{name: plugin, port: 7000, targetPort: plugin}]", "ports: [{name: a, port: 7000}, {name: b, port: 8080}]"}, doctor.NoPort, "ports"},
		"UDP":               {"plugins speak TCP", []string{"port: 7000, targetPort: plugin}", "port: 7000, protocol: UDP}"}, doctor.NoPort, "ports"},
		"selector":          {"a slip of the pen", []string{"selector: {app: zh}", "selector: {app: hz}"}, doctor.NoPods, "pods"},
		"no replicas":       {"there will be no pod", []string{"replicas: 2", "replicas: 0"}, doctor.NoPods, "pods"},
		"target port":       {"the pods call it otherwise", []string{"targetPort: plugin", "targetPort: grpc"}, doctor.NoTargetPort, "slices"},
		"policy":            {"it admits others", []string{"matchLabels: {app: basic}}}], ports", "matchLabels: {app: other}}}], ports"}, doctor.PolicyIngress, "policy"},
		"policy's port":     {"it admits the host elsewhere", []string{"ports: [{port: 7000}]}", "ports: [{port: 7001}]}"}, doctor.PolicyIngress, "policy"},
		"policy's range":    {"the port is in it", []string{"ports: [{port: 7000}]}", "ports: [{port: 6000, endPort: 7000}]}"}, "", ""},
		"policy's name":     {"the port has it", []string{"ports: [{port: 7000}]}", "ports: [{port: plugin}]}"}, "", ""},
		"policy's protocol": {"plugins speak TCP", []string{"ports: [{port: 7000}]}", "ports: [{port: 7000, protocol: UDP}]}"}, doctor.PolicyIngress, "policy"},
		"policy's block":    {"the host may be in it", []string{"from: [{podSelector: {matchLabels: {app: basic}}}]", "from: [{ipBlock: {cidr: 10.0.0.0/8}}]"}, "", ""},
		"other namespaces":  {"the host is in its own", []string{"from: [{podSelector: {matchLabels: {app: basic}}}]", "from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]"}, doctor.PolicyIngress, "policy"},
		"own namespace":     {"by its name, which every one has", []string{"from: [{podSelector: {matchLabels: {app: basic}}}]", "from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}}]"}, "", ""},
		"egress":            {"the host may look up names only", []string{"  egress: []\n", "  egress: []\n" + egress}, doctor.PolicyEgress, "policy"},
		"loopback":          {"nobody reaches it there", []string{`{name: PLUGIN_HOST, value: "true"}`, "{name: PLUGIN_HOST, value: localhost}"}, doctor.ConnectionRefused, "connect"},
		"other port":        {"the plugin listens elsewhere", []string{"# plugin", "- {name: PLUGIN_MIN_PORT, value: \"7001\"}\n            - {name: PLUGIN_MAX_PORT, value: \"7001\"}"}, doctor.ConnectionRefused, "connect"},
		"plain plugin":      {"the host wants TLS", []string{"# host", "- {name: HOST_TLS_CA_FILE, value: /tls/ca.crt}"}, doctor.PluginWithoutTLS, "tls"},
		"exempt":            {"the host makes an exception", []string{"# host", "- {name: HOST_TLS_CA_FILE, value: /tls/ca.crt}\n            - {name: HOST_TLS_PLAIN_PLUGINS, value: \"en, zh\"}"}, "", ""},
		"plain host":        {"the plugin wants TLS", []string{"# plugin", "- {name: PLUGIN_TLS_CERT_FILE, value: /tls/tls.crt}"}, doctor.PluginWantsTLS, "tls"},
		"no host cert": {"the plugin wants to know its hosts", []string{"# host", "- {name: HOST_TLS_CA_FILE, value: /tls/ca.crt}",
			"# plugin", "- {name: PLUGIN_TLS_CERT_FILE, value: /tls/tls.crt}\n            - {name: PLUGIN_TLS_CLIENT_CA_FILE, value: /tls/ca.crt}"}, doctor.HostTurnedDown, "tls"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(tc.replace); i += 2 {
				if !strings.Contains(planned, tc.replace[i]) {
					t.Fatalf("%q is not in the manifests", tc.replace[i])
				}
			}
			text := strings.NewReplacer(tc.replace...).Replace(planned)
			ways, err := Planned(doctor.Question{Program: "basic"}, map[string][]byte{"all.yaml": []byte(text)})
			if err != nil || len(ways) != 1 {
				t.Fatalf("%d ways, %v", len(ways), err)
			}
			found, warnings := findings(t, ways)
			if found == nil {
				found = new(doctor.Finding)
			}
			if found.Code != tc.want || found.Hop != tc.hop || len(warnings) > 0 {
				t.Errorf("%s: %+v, and warnings %v, want %s at %s", tc.reason, found, warnings, tc.want, tc.hop)
			}
		})
	}
}

// TestPlannedWithout has manifests that lack what cannot be told without.
func TestPlannedWithout(t *testing.T) {
	plugin := planned[strings.Index(planned, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: zh}"):]
	ways, err := Planned(doctor.Question{}, map[string][]byte{"zh.yaml": []byte(plugin)})
	if err != nil || len(ways) != 1 {
		t.Fatalf("%d ways, %v", len(ways), err)
	}
	r := &doctor.Report{}
	if _, err := doctor.Walk(t.Context(), "", time.Minute, ways[0].Hops, r.Add); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(r.Unseen, " "); !r.OK || got != "rights policy tls" {
		t.Errorf("unseen: %s; %+v", got, r.Finding)
	}
}

// TestManifests reads what is no object, or many.
func TestManifests(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"kustomization": {"kind: Kustomization\nresources: [x]", "kubectl kustomize"},
		"no YAML":       {"a: b\n---\n\t- {", "document 2"},
		"other type":    {"kind: Service\nspec: {ports: 7}", "document 1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Planned(doctor.Question{}, map[string][]byte{"x.yaml": []byte(tc.text)})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	list := `{"kind": "List", "items": [{"kind": "Service", "metadata": {"name": "a", "labels": {"reattach.dev/plugin": ""}}},
		{"kind": "Service", "metadata": {"name": "b", "labels": {"reattach.dev/plugin": "no"}}}, {"kind": "Unknown"}]}`
	ways, err := Planned(doctor.Question{}, map[string][]byte{"x.json": []byte(list)})
	if err != nil || len(ways) != 1 || ways[0].Plugin != "a" {
		t.Errorf("%+v, %v", ways, err)
	}
}
