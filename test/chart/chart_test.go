// SPDX-License-Identifier: MPL-2.0

// Package chart holds the Helm chart against what kustomize makes of deploy/, which is
// the truth: with equal settings both give the same objects.
package chart

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

const dir = "../../deploy/helm/reattach"

type object = map[string]any

func TestLint(t *testing.T) {
	for _, message := range lint.AllWithKubeVersion(dir, nil, "plugins", nil).Messages {
		if message.Severity >= support.WarningSev {
			t.Error(message)
		}
	}
}

func TestSameAsKustomize(t *testing.T) {
	for name, c := range map[string]struct {
		overlay string
		values  string
	}{
		"Plain":       {"base", ``},
		"TLS":         {"overlays/mtls", `tls: {enabled: true}`},
		"CertManager": {"overlays/mtls-cert-manager", `tls: {enabled: true, certManager: true}`},
		"Signer":      {"overlays/pod-certificates", `tls: {enabled: true, podCertificates: {enabled: true}}`},
		"Monitoring":  {"overlays/monitoring", `monitoring: {monitors: true, rules: true, dashboard: true}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, c.values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(comparable(kustomize(t, c.overlay)), comparable(got)); diff != "" {
				t.Errorf("kustomize's objects are not the chart's (-kustomize +chart)\n%s", diff)
			}
		})
	}
}

// TestMemory holds that each container has Go keep to its own limit, from a variable that
// stands before the one which takes it: Kubernetes knows no other order. The plugin as a
// sidecar has only kustomize.
func TestMemory(t *testing.T) {
	rendered, err := render(t, ``)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		objects    map[string]object
		containers []string
	}{
		"chart":   {rendered, []string{"Deployment/basic containers", "Deployment/pluginzh containers"}},
		"base":    {kustomize(t, "base"), []string{"Deployment/basic containers", "Deployment/pluginzh containers"}},
		"sidecar": {kustomize(t, "overlays/sidecar"), []string{"Deployment/basic containers", "Deployment/basic initContainers"}},
	} {
		for _, where := range c.containers {
			id, list, _ := strings.Cut(where, " ")
			env, _ := at(c.objects[id], "spec.template.spec."+list+".0.env").([]any)
			index := func(name string) int {
				return slices.IndexFunc(env, func(e any) bool { return e.(object)["name"] == name })
			}
			limit, taken := index("MEMORY_LIMIT_MIB"), index("GOMEMLIMIT")
			if limit < 0 || taken < limit {
				t.Errorf("%s: %s has MEMORY_LIMIT_MIB at %d and GOMEMLIMIT at %d", name, where, limit, taken)
				continue
			}
			want := object{"resource": "limits.memory", "divisor": "1Mi"}
			if diff := cmp.Diff(want, at(env[limit], "valueFrom.resourceFieldRef")); diff != "" {
				t.Errorf("%s: %s (-want +got)\n%s", name, where, diff)
			}
			if value := at(env[taken], "value"); value != "$(MEMORY_LIMIT_MIB)000000" {
				t.Errorf("%s: %s has GOMEMLIMIT=%v", name, where, value)
			}
		}
	}
}

// TestPlugins has what the base has not: several plugins, with settings of their own.
func TestPlugins(t *testing.T) {
	got, err := render(t, `
host:
  name: daemon
  program: my-daemon
  env: [{name: CALL_TIMEOUT, value: 5s}, {name: MY_DAEMON_NO_CALLS, value: "false"}]
  volumes: [{name: token, secret: {secretName: token}}]
  volumeMounts: [{name: token, mountPath: /token}]
plugins:
  - {name: store, image: "registry.example.org/store:1", replicas: 0, annotations: {reattach.dev/required: "true"}, env: [{name: GOMEMLIMIT, value: 100MiB}]}
  - {name: mail, image: mail, env: [{name: PLUGIN_NAME, value: mail}, {name: PLUGIN_DRAIN_TIMEOUT, value: 5s}], resources: {limits: {memory: 1Gi}}}
tls: {enabled: true, certManager: true}
monitoring: {monitors: true, rules: true, labels: {release: prometheus}}
`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"Deployment/daemon spec.template.spec.serviceAccountName":                    "daemon",
		"Deployment/store spec.replicas":                                             0,
		"Deployment/mail spec.replicas":                                              2,
		"Deployment/store spec.template.spec.containers.0.image":                     "registry.example.org/store:1",
		"Deployment/store spec.template.spec.containers.0.resources.limits.memory":   "128Mi",
		"Deployment/mail spec.template.spec.containers.0.resources.limits.memory":    "1Gi",
		"Deployment/mail spec.template.spec.containers.0.resources.requests":         nil,
		"Service/store metadata.annotations":                                         object{"reattach.dev/required": "true"},
		"Service/store metadata.labels":                                              object{"app.kubernetes.io/instance": "release", "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": "store", "app.kubernetes.io/part-of": "reattach", "helm.sh/chart": "reattach-0.1.0", "reattach.dev/plugin": "true"},
		"Certificate/mail-tls spec.dnsNames.0":                                       "mail",
		"Certificate/daemon-tls spec.secretName":                                     "daemon-tls",
		"RoleBinding/daemon subjects.0.name":                                         "daemon",
		"PodDisruptionBudget/mail spec.selector.matchLabels":                         object{"app.kubernetes.io/name": "mail"},
		"Deployment/mail spec.template.spec.volumes.0.secret.secretName":             "mail-tls",
		"Deployment/daemon spec.template.spec.volumes.1.secret.secretName":           "token",
		"Deployment/daemon spec.template.spec.containers.0.volumeMounts.1.mountPath": "/token",
		"Deployment/daemon spec.template.spec.containers.0.name":                     "my-daemon",
		"Deployment/pluginzh":                                                        nil,
		"ServiceMonitor/daemon spec.selector.matchLabels":                            object{"app.kubernetes.io/name": "daemon"},
		"ServiceMonitor/daemon metadata.labels.release":                              "prometheus",
		"PodMonitor/reattach-plugins spec.selector.matchExpressions.0.values":        []any{"store", "mail"},
		"PrometheusRule/reattach spec.groups.0.rules.0.expr":                         `absent(up{job="daemon"} == 1)`,
		"PrometheusRule/reattach metadata.labels.release":                            "prometheus",
		"ConfigMap/reattach-dashboard":                                               nil,
	} {
		id, path, _ := strings.Cut(name, " ")
		if diff := cmp.Diff(want, at(got[id], path)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	for id, want := range map[string]map[string]any{
		"Deployment/daemon": {
			"CALL_TIMEOUT": "5s", "MY_DAEMON_NO_CALLS": "false", "MY_DAEMON_LISTEN": ":8080", "HOST_TLS_CA_FILE": "/tls/ca.crt",
		},
		"Deployment/mail": {"PLUGIN_NAME": "mail", "PLUGIN_DRAIN_TIMEOUT": "5s", "PLUGIN_HEALTH_ADDR": ":8080"},
		// A plugin that is not Go's, or knows better.
		"Deployment/store": {"GOMEMLIMIT": "100MiB"},
	} {
		env, _ := at(got[id], "spec.template.spec.containers.0.env").([]any)
		values := make(map[string]any)
		for _, e := range env {
			name := e.(object)["name"].(string)
			if _, twice := values[name]; twice || strings.HasPrefix(name, "BASIC_") {
				t.Errorf("%s has %s, twice or of another program", id, name)
			}
			values[name] = e.(object)["value"]
		}
		for name, value := range want {
			if values[name] != value {
				t.Errorf("%s: %s is %v, want %v", id, name, values[name], value)
			}
		}
	}
}

func TestBadValues(t *testing.T) {
	for name, c := range map[string]struct{ values, want string }{
		"unknown key":      {`hosts: {}`, "hosts"},
		"name of a plugin": {`plugins: [{name: Store, image: store}]`, "plugins"},
		"no image":         {`plugins: [{name: store}]`, "image"},
		"a name twice":     {`plugins: [{name: store, image: a}, {name: store, image: b}]`, `"store"`},
		"the host's name":  {`plugins: [{name: basic, image: a}]`, `"basic"`},
		"no TLS":           {`tls: {enabled: false, certManager: true}`, "tls"},
		"two issuers":      {`tls: {enabled: true, certManager: true, podCertificates: {enabled: true}}`, "tls"},
		"no signer":        {`tls: {enabled: true, podCertificates: {enabled: true, signerName: reattach}}`, "signerName"},
		"replicas":         {`host: {replicas: -1}`, "replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render(t, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("values %q: %v, want an error that names %s", c.values, err, c.want)
			}
		})
	}
}

// render gives the objects of the chart by kind and name, as helm install would make
// them as a release named release.
func render(t *testing.T, values string) (map[string]object, error) {
	t.Helper()
	return renderChart(t, dir, values)
}

// renderChart does so with any chart.
func renderChart(t *testing.T, dir, values string) (map[string]object, error) {
	t.Helper()
	chart, err := loader.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	set, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, set, chartutil.ReleaseOptions{Name: "release", Namespace: "plugins"}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	objects := make(map[string]object)
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			decode(t, name, []byte(text), objects)
		}
	}
	return objects, nil
}

func kustomize(t *testing.T, overlay string) map[string]object {
	t.Helper()
	return kustomizeBuild(t, "../deploy/"+overlay)
}

// kustomizeBuild gives the objects of a directory, whose path begins at tools/ or at the root.
func kustomizeBuild(t *testing.T, path string) map[string]object {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "kustomize", "build", path)
	cmd.Dir = "../../tools"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", path, err, stderr.String())
	}
	objects := make(map[string]object)
	decode(t, path, out, objects)
	return objects
}

func decode(t *testing.T, name string, text []byte, into map[string]object) {
	t.Helper()
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		err := dec.Decode(&o)
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		case o == nil:
			continue
		}
		id := o["kind"].(string) + "/" + at(o, "metadata.name").(string)
		if into[id] != nil {
			t.Fatalf("%s: %s is there twice", name, id)
		}
		into[id] = o
	}
}

// comparable leaves out what neither way needs to have like the other: the labels that
// only say what an object belongs to, and the order of variables.
func comparable(objects map[string]object) map[string]object {
	for _, o := range objects {
		labels, _ := at(o, "metadata.labels").(object)
		maps.DeleteFunc(labels, func(name string, _ any) bool {
			return strings.HasPrefix(name, "app.kubernetes.io/") || strings.HasPrefix(name, "helm.sh/")
		})
		if len(labels) == 0 {
			delete(at(o, "metadata").(object), "labels")
		}
		env, _ := at(o, "spec.template.spec.containers.0.env").([]any)
		slices.SortFunc(env, func(a, b any) int {
			return strings.Compare(a.(object)["name"].(string), b.(object)["name"].(string))
		})
	}
	return objects
}

// at follows a path of keys and indices; nil where it does not lead anywhere.
func at(in any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch v := in.(type) {
		case object:
			if step != "" {
				in = v[step]
			} else if len(v) == 0 {
				return nil
			}
		case []any:
			i := int(step[0] - '0')
			if i >= len(v) {
				return nil
			}
			in = v[i]
		default:
			return nil
		}
	}
	return in
}
