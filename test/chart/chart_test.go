// SPDX-License-Identifier: MPL-2.0

// Package chart holds the Helm chart against what kustomize makes of deploy/, which is
// the truth: with equal settings both give the same objects.
package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
		overlay string // or components with + between
		values  string
	}{
		"Plain":       {"base", ``},
		"TLS":         {"overlays/mtls", `tls: {enabled: true}`},
		"CertManager": {"overlays/mtls-cert-manager", `tls: {enabled: true, certManager: true}`},
		"Signer":      {"overlays/pod-certificates", `tls: {enabled: true, podCertificates: {enabled: true}}`},
		"Monitoring":  {"overlays/monitoring", `monitoring: {monitors: true, rules: true, dashboard: true}`},
		"Policies":    {"overlays/networkpolicy", `networkPolicy: {enabled: true}`},
		"Production": {"mtls+networkpolicy+monitoring",
			"tls: {enabled: true}\nnetworkPolicy: {enabled: true}\nmonitoring: {monitors: true, rules: true, dashboard: true}"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, c.values)
			if err != nil {
				t.Fatal(err)
			}
			path := "../deploy/" + c.overlay
			if strings.Contains(c.overlay, "+") {
				path = composed(t, strings.Split(c.overlay, "+")...)
			}
			if diff := cmp.Diff(comparable(kustomizeBuild(t, path)), comparable(got)); diff != "" {
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

// TestMessagesFitMemory holds the bound of a message and the memory limit of a container
// together: three of the largest messages fit at once, each of which is there some eight
// times, beside what the process has at rest. TestDeployedMemory of test/adversary measures
// processes with these figures.
func TestMessagesFitMemory(t *testing.T) {
	const mib = 1 << 20
	rendered, err := render(t, ``)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		objects    map[string]object
		containers map[string]string // and the variable that bounds its messages
	}{
		"chart": {rendered, map[string]string{
			"Deployment/basic containers": "HOST_MAX_MESSAGE", "Deployment/pluginzh containers": "PLUGIN_MAX_MESSAGE"}},
		"base": {kustomize(t, "base"), map[string]string{
			"Deployment/basic containers": "HOST_MAX_MESSAGE", "Deployment/pluginzh containers": "PLUGIN_MAX_MESSAGE"}},
		"sidecar": {kustomize(t, "overlays/sidecar"), map[string]string{
			"Deployment/basic containers": "HOST_MAX_MESSAGE", "Deployment/basic initContainers": "PLUGIN_MAX_MESSAGE"}},
		"new plugin": {kustomizeBuild(t, scaffolded(t, "plugin")), map[string]string{"Deployment/store containers": "PLUGIN_MAX_MESSAGE"}},
		"new host":   {kustomizeBuild(t, scaffolded(t, "host")), map[string]string{"Deployment/store-host containers": "HOST_MAX_MESSAGE"}},
	} {
		for where, variable := range c.containers {
			id, list, _ := strings.Cut(where, " ")
			container := at(c.objects[id], "spec.template.spec."+list+".0")
			env, _ := at(container, "env").([]any)
			i := slices.IndexFunc(env, func(e any) bool { return e.(object)["name"] == variable })
			if i < 0 {
				t.Errorf("%s: %s has no %s", name, where, variable)
				continue
			}
			bound, err := strconv.Atoi(at(env[i], "value").(string))
			if err != nil {
				t.Errorf("%s: %s: %v", name, where, err)
			}
			limit, atRest := mebibytes(t, at(container, "resources.limits.memory")), mebibytes(t, at(container, "resources.requests.memory"))
			if least := atRest + 3*8*bound/mib; bound != 4*mib || limit < least {
				t.Errorf("%s: %s has messages of %d bytes and a limit of %d MiB, which has to be at least %d", name, where, bound, limit, least)
			}
		}
	}
}

func mebibytes(t *testing.T, quantity any) int {
	t.Helper()
	text, _ := quantity.(string)
	n, err := strconv.Atoi(strings.TrimSuffix(text, "Mi"))
	if err != nil {
		t.Errorf("memory %v: want Mi", quantity)
	}
	return n
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
  imagePullSecrets: [{name: registry}]
  podLabels: {team: platform}
  serviceAccount: {annotations: {iam.example.org/role: daemon}}
plugins:
  - {name: store, image: "registry.example.org/store:1", replicas: 0, annotations: {reattach.dev/required: "true"}, env: [{name: GOMEMLIMIT, value: 100MiB}]}
  - {name: mail, image: mail, env: [{name: PLUGIN_NAME, value: mail}, {name: PLUGIN_DRAIN_TIMEOUT, value: 5s}], resources: {limits: {memory: 1Gi}},
     imagePullSecrets: [{name: registry}], nodeSelector: {kubernetes.io/arch: arm64}, tolerations: [{operator: Exists}],
     affinity: {nodeAffinity: {x: 1}}, priorityClassName: high, podLabels: {team: post}, podAnnotations: {example.org/log: json},
     serviceAccount: {annotations: {iam.example.org/role: mail}}}
  - {name: vault, image: vault, serviceAccount: {}}
networkPolicy: {enabled: true}
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
		"PodDisruptionBudget/mail spec.selector.matchLabels":                         chosen("mail"),
		"PodDisruptionBudget/mail spec.unhealthyPodEvictionPolicy":                   "AlwaysAllow",
		"Service/mail spec.selector":                                                 chosen("mail"),
		"Service/daemon spec.selector":                                               chosen("daemon"),
		"Deployment/mail spec.selector.matchLabels":                                  chosen("mail"),
		"Deployment/daemon spec.selector.matchLabels":                                chosen("daemon"),
		"Deployment/mail spec.template.metadata.annotations":                         object{"example.org/log": "json"},
		"Deployment/mail spec.template.metadata.labels.team":                         "post",
		"Deployment/mail spec.template.spec.imagePullSecrets":                        []any{object{"name": "registry"}},
		"Deployment/mail spec.template.spec.nodeSelector":                            object{"kubernetes.io/arch": "arm64"},
		"Deployment/mail spec.template.spec.tolerations.0.operator":                  "Exists",
		"Deployment/mail spec.template.spec.affinity.nodeAffinity":                   object{"x": 1},
		"Deployment/mail spec.template.spec.priorityClassName":                       "high",
		"Deployment/mail spec.template.spec.serviceAccountName":                      "mail",
		"Deployment/store spec.template.spec.serviceAccountName":                     nil,
		"Deployment/vault spec.template.spec.serviceAccountName":                     "vault",
		"ServiceAccount/mail metadata.annotations":                                   object{"iam.example.org/role": "mail"},
		"ServiceAccount/store":                                                       nil,
		"ServiceAccount/daemon metadata.annotations":                                 object{"iam.example.org/role": "daemon"},
		"Deployment/daemon spec.template.spec.imagePullSecrets":                      []any{object{"name": "registry"}},
		"Deployment/daemon spec.template.spec.nodeSelector":                          nil,
		"Deployment/daemon spec.template.metadata.labels.team":                       "platform",
		"NetworkPolicy/mail spec.ingress.0.from.0.podSelector.matchLabels":           chosen("daemon"),
		"NetworkPolicy/mail spec.podSelector.matchLabels":                            chosen("mail"),
		"PodMonitor/reattach-plugins spec.selector.matchLabels":                      object{"app.kubernetes.io/instance": "release"},
		"Deployment/mail spec.template.spec.volumes.0.secret.secretName":             "mail-tls",
		"Deployment/daemon spec.template.spec.volumes.1.secret.secretName":           "token",
		"Deployment/daemon spec.template.spec.containers.0.volumeMounts.1.mountPath": "/token",
		"Deployment/daemon spec.template.spec.containers.0.name":                     "my-daemon",
		"Deployment/pluginzh":                                                        nil,
		"ServiceMonitor/daemon spec.selector.matchLabels":                            chosen("daemon"),
		"ServiceMonitor/daemon metadata.labels.release":                              "prometheus",
		"PodMonitor/reattach-plugins spec.selector.matchExpressions.0.values":        []any{"store", "mail", "vault"},
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

// chosen is the labels by which the release chooses the pods of a name.
func chosen(name string) object {
	return object{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "release"}
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
		"a pull secret":    {`host: {imagePullSecrets: [registry]}`, "imagePullSecrets"},
		"a chosen label":   {`plugins: [{name: store, image: a, podLabels: {app.kubernetes.io/name: other}}]`, "podLabels"},
		"an account":       {`host: {serviceAccount: {name: other}}`, "serviceAccount"},
		"a policy":         {`networkPolicy: {enabled: "true"}`, "networkPolicy"},
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

// composed writes a kustomization of the base with some components, and gives its directory.
func composed(t *testing.T, components ...string) string {
	t.Helper()
	dir := t.TempDir()
	deploy, err := filepath.Abs("../../deploy")
	if err == nil {
		deploy, err = filepath.Rel(dir, deploy)
	}
	text := fmt.Sprintf("resources: [%s]\ncomponents:\n", deploy)
	for _, c := range components {
		text += fmt.Sprintf("  - %s/components/%s\n", deploy, c)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// belonging are the labels by which the chart tells its releases apart.
var belonging = []string{"app.kubernetes.io/instance", "app.kubernetes.io/part-of"}

// unreleased leaves them out wherever pods have them, or are chosen by them.
func unreleased(in any) {
	switch v := in.(type) {
	case object:
		for _, label := range belonging {
			delete(v, label)
		}
		for key, part := range v {
			unreleased(part)
			if m, ok := part.(object); ok && key == "matchLabels" && len(m) == 0 {
				delete(v, key)
			}
		}
	case []any:
		for _, part := range v {
			unreleased(part)
		}
	}
}

// comparable leaves out what neither way needs to have like the other: the labels that
// only say what an object belongs to, and the order of variables.
func comparable(objects map[string]object) map[string]object {
	for _, o := range objects {
		unreleased(o)
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
