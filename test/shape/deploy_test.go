// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// object is a part of a manifest.
type object = map[string]any

// at follows keys into an object. What is not there gives nil.
func at(o any, keys ...string) any {
	for _, k := range keys {
		m, ok := o.(object)
		if !ok {
			return nil
		}
		o = m[k]
	}
	return o
}

// list follows keys to a list of objects.
func list(o any, keys ...string) []any {
	l, _ := at(o, keys...).([]any)
	return l
}

// render gives the objects of every kustomization in deploy/ that can be applied, by its
// directory.
func render(t *testing.T) map[string][]object {
	t.Helper()
	deploy, err := filepath.Abs(filepath.Join(root, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]object)
	err = filepath.WalkDir(deploy, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "kustomization.yaml" {
			return err
		}
		dir := filepath.Dir(path)
		if filepath.Base(filepath.Dir(dir)) == "components" {
			return nil // part of others
		}
		name, _ := filepath.Rel(deploy, dir)
		all[name] = build(t, dir)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range together(t, deploy) {
		all[name] = build(t, dir)
	}
	return all
}

// build gives the objects of one kustomization.
func build(t *testing.T, dir string) (objects []object) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "kustomize", "build", dir)
	cmd.Dir = filepath.Join(root, "tools")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("kustomize build %s: %v\n%s", dir, err, stderr.String())
		return nil
	}
	for dec := yaml.NewDecoder(strings.NewReader(string(out))); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Errorf("kustomize build %s: %v", dir, err)
			return nil
		}
		objects = append(objects, o)
	}
}

// together writes the kustomizations that people make of several components, in either
// order, and with certificates of either kind, and gives their directories.
func together(t *testing.T, deploy string) map[string]string {
	t.Helper()
	dirs := make(map[string]string)
	for _, of := range [][]string{
		{".", "mtls", "networkpolicy"}, {".", "networkpolicy", "mtls"},
		{".", "mtls", "monitoring"}, {".", "monitoring", "networkpolicy"},
		{".", "mtls", "networkpolicy", "monitoring"},
		{"overlays/mtls", "networkpolicy", "monitoring"},
		{"overlays/mtls-cert-manager", "networkpolicy", "monitoring"},
		{"overlays/pod-certificates", "networkpolicy", "monitoring"},
	} {
		dir := t.TempDir()
		up, err := filepath.Rel(dir, deploy)
		text := "resources: [" + up + "/" + of[0] + "]\ncomponents:\n"
		for _, component := range of[1:] {
			text += "  - " + up + "/components/" + component + "\n"
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		dirs[strings.Join(of, "+")] = dir
	}
	return dirs
}

func TestDeploy(t *testing.T) {
	all := render(t)
	for name, check := range map[string]func(*testing.T, map[string][]object){
		"Overlays": overlays, "PodsAreRestricted": podsAreRestricted,
		"RightsAreFew": rightsAreFew, "VariablesAreRead": variablesAreRead,
		"ComponentsAddUp": componentsAddUp, "DrainsGoOn": drainsGoOn,
	} {
		t.Run(name, func(t *testing.T) { check(t, all) })
	}
}

func overlays(t *testing.T, all map[string][]object) {
	var names []string
	for name := range all {
		if !strings.Contains(name, "+") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	want := []string{".", "base", "overlays/image-volume", "overlays/monitoring", "overlays/mtls", "overlays/mtls-cert-manager", "overlays/networkpolicy", "overlays/pod-certificates", "overlays/production", "overlays/shared-object", "overlays/sidecar"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("what deploy/ can render (-want +got)\n%s", diff)
	}
}

// componentsAddUp holds that each of several components brings what it brings alone.
func componentsAddUp(t *testing.T, all map[string][]object) {
	for name, objects := range all {
		if !strings.Contains(name, "+") {
			continue
		}
		for part, kind := range map[string]string{
			"networkpolicy": "NetworkPolicy", "monitoring": "PrometheusRule", "cert-manager": "Certificate",
		} {
			has := slices.ContainsFunc(objects, func(o object) bool { return o["kind"] == kind })
			if has != strings.Contains(name, part) {
				t.Errorf("%s has a %s: %v", name, kind, has)
			}
		}
		for _, o := range objects {
			if o["kind"] != "Deployment" {
				continue
			}
			env := list(list(o, "spec", "template", "spec", "containers")[0], "env")
			has := slices.ContainsFunc(env, func(e any) bool { return strings.HasSuffix(at(e, "name").(string), "_TLS_CERT_FILE") })
			if want := strings.Contains(name, "mtls") || strings.Contains(name, "pod-certificates"); has != want {
				t.Errorf("%s: %s has a certificate: %v", name, at(o, "metadata", "name"), has)
			}
		}
	}
}

// drainsGoOn holds that pods which are not ready do not hold up the drain of a node.
func drainsGoOn(t *testing.T, all map[string][]object) {
	for name, objects := range all {
		for _, o := range objects {
			if o["kind"] == "PodDisruptionBudget" && at(o, "spec", "unhealthyPodEvictionPolicy") != "AlwaysAllow" {
				t.Errorf("%s: the PodDisruptionBudget %s keeps pods that are not ready", name, at(o, "metadata", "name"))
			}
		}
	}
}

// podsAreRestricted holds what the restricted Pod Security Standard asks for, and what lets
// pods come and go without losing a call.
func podsAreRestricted(t *testing.T, all map[string][]object) {
	for name, objects := range all {
		budgets := make(map[any]bool)
		for _, o := range objects {
			if o["kind"] == "PodDisruptionBudget" {
				budgets[at(o, "spec", "selector", "matchLabels", "app.kubernetes.io/name")] = true
			}
		}
		for _, o := range objects {
			if o["kind"] != "Deployment" {
				continue
			}
			where := name + ": " + at(o, "metadata", "name").(string)
			if !budgets[at(o, "metadata", "name")] {
				t.Errorf("%s has no PodDisruptionBudget", where)
			}
			pod := at(o, "spec", "template", "spec")
			for _, f := range []string{
				missing(pod, false, "enableServiceLinks"), missing(pod, true, "securityContext", "runAsNonRoot"),
				missing(pod, "RuntimeDefault", "securityContext", "seccompProfile", "type"),
			} {
				if f != "" {
					t.Errorf("%s: %s", where, f)
				}
			}
			if len(list(pod, "topologySpreadConstraints")) == 0 {
				t.Errorf("%s does not spread its pods", where)
			}
			if grace, _ := at(pod, "terminationGracePeriodSeconds").(int); grace < 30 {
				t.Errorf("%s: %d s are too few to drain in", where, grace)
			}
			for _, c := range append(list(pod, "initContainers"), list(pod, "containers")...) {
				for _, fault := range containerFaults(c) {
					t.Errorf("%s: container %v: %s", where, at(c, "name"), fault)
				}
			}
		}
	}
}

func missing(o any, want any, keys ...string) string {
	if at(o, keys...) != want {
		return strings.Join(keys, ".") + " is not set as it should be"
	}
	return ""
}

func containerFaults(c any) []string {
	faults := []string{
		missing(c, false, "securityContext", "allowPrivilegeEscalation"),
		missing(c, true, "securityContext", "readOnlyRootFilesystem"),
	}
	if !slices.Equal(list(c, "securityContext", "capabilities", "drop"), []any{"ALL"}) {
		faults = append(faults, "it keeps capabilities")
	}
	sidecar := at(c, "restartPolicy") == "Always" // has no Service that must learn of its end
	for _, part := range [][]string{
		{"resources", "requests", "cpu"}, {"resources", "requests", "memory"}, {"resources", "limits", "memory"},
		{"startupProbe"}, {"livenessProbe"}, {"readinessProbe"}, {"lifecycle", "preStop"},
	} {
		if at(c, part...) == nil && (!sidecar || part[0] != "readinessProbe" && part[0] != "lifecycle") {
			faults = append(faults, "it has no "+strings.Join(part, "."))
		}
	}
	return slices.DeleteFunc(faults, func(f string) bool { return f == "" })
}

// rightsAreFew holds that the host gets no more rights than it uses.
func rightsAreFew(t *testing.T, all map[string][]object) {
	want := []any{
		object{"apiGroups": []any{""}, "resources": []any{"services"}, "verbs": []any{"list", "watch"}},
		object{"apiGroups": []any{"discovery.k8s.io"}, "resources": []any{"endpointslices"}, "verbs": []any{"list", "watch"}},
		object{"apiGroups": []any{""}, "resources": []any{"events"}, "verbs": []any{"create", "patch"}},
	}
	for name, objects := range all {
		for _, o := range objects {
			switch o["kind"] {
			case "ClusterRole", "ClusterRoleBinding":
				t.Errorf("%s has a %v: the host needs its own namespace only", name, o["kind"])
			case "Role":
				if diff := cmp.Diff(want, o["rules"]); diff != "" {
					t.Errorf("%s: rights (-want +got)\n%s", name, diff)
				}
			}
		}
	}
}

// variablesAreRead holds that every variable in a manifest is one that is read.
func variablesAreRead(t *testing.T, all map[string][]object) {
	known := read(t, "docs/reference.md") + read(t, "forks/go-plugin/README.md") + read(t, "PROTOCOL.md")
	known += "`GOMEMLIMIT`, which Go reads, made of `MEMORY_LIMIT_MIB`"
	seen := 0
	for name, objects := range all {
		for _, o := range objects {
			pod := at(o, "spec", "template", "spec")
			for _, c := range append(list(pod, "initContainers"), list(pod, "containers")...) {
				for _, e := range list(c, "env") {
					seen++
					if v := at(e, "name").(string); !strings.Contains(known, "`"+v) {
						t.Errorf("%s: %v sets %s, which no page says that anything reads", name, at(c, "name"), v)
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no variable was seen: the test looks at the wrong place")
	}
}

// TestDashboard holds that what the dashboard shows, and alerts watch, is measured.
func TestDashboard(t *testing.T) {
	metrics := read(t, "docs/metrics.md") // which is held against the code
	shown := read(t, "deploy/components/monitoring/dashboard.json") + read(t, "deploy/components/monitoring/prometheusrule.yaml")
	names := regexp.MustCompile(`reattach_([a-z_]+)`).FindAllStringSubmatch(shown, -1)
	if len(names) == 0 {
		t.Fatal("the dashboard shows nothing")
	}
	for _, n := range names {
		if !strings.Contains(metrics, "`reattach_"+strings.TrimSuffix(n[1], "_bucket")+"`") {
			t.Errorf("the dashboard or an alert names %s, which nobody measures", n[0])
		}
	}
}
