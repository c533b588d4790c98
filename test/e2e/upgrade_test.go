// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// build is a state of the project that can be installed.
type build struct {
	name   string
	deploy string // the directory of its manifests
	tag    string // of its images
}

// builds gives that of an earlier commit, and the present one.
func builds(t *testing.T) (earlier, present build) {
	t.Helper()
	dir := os.Getenv("E2E_EARLIER")
	if dir == "" {
		t.Skip("there is no build of an earlier commit to upgrade from: scripts/earlier.sh says why")
	}
	commit, err := os.ReadFile(filepath.Join(dir, "commit"))
	if err != nil {
		t.Fatal(err)
	}
	now := image("basic")
	return build{fmt.Sprintf("%.7s", strings.TrimSpace(string(commit))), filepath.Join(dir, "deploy"), "earlier"},
		build{"the present build", "../../deploy", now[strings.LastIndex(now, ":")+1:]}
}

// repository gives the name of an image without its tag.
func repository(name string) string {
	full := image(name)
	return full[:strings.LastIndex(full, ":")]
}

// installer is a way to install builds in a namespace.
type installer struct {
	install func(t *testing.T, b build) // of one in the place of another as well
	remove  func(t *testing.T)
	plugins []string
}

// upgraded installs an earlier build, puts the present one in its place and the earlier
// one back, under calls through the host's Service, and removes all of it.
func upgraded(t *testing.T, namespace string, i installer) {
	t.Helper()
	node := ownNode(t)
	earlier, present := builds(t)
	before := objects(t, namespace)
	i.install(t, earlier)
	rolled(t, namespace, append([]string{"basic"}, i.plugins...)...)
	added := len(objects(t, namespace)) - len(before)

	// Each call has a connection of its own: a host of the earlier commit that leaves closes
	// those that are kept, and may do so while a request is on its way.
	url := proxied(t, node, kubectl(t, "get", "service", "basic", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")+":80",
		&http.Transport{DisableKeepAlives: true})
	for _, p := range i.plugins {
		until(t, "plugin "+p+" is called", func() bool { return callPlugin(patient, url, p) == nil })
	}
	loads := make(map[string]*load)
	for _, p := range i.plugins {
		loads[p] = beginPlugin(url, p, 2)
	}
	for _, to := range []build{present, earlier, present} {
		i.install(t, to)
		rolled(t, namespace, append([]string{"basic"}, i.plugins...)...)
		runs(t, namespace, to)
		for _, l := range loads {
			so := l.calls.Load()
			until(t, "calls go on", func() bool { return l.calls.Load() > so+50 })
		}
		t.Logf("every pod is that of %s", to.name)
	}
	for _, p := range i.plugins {
		t.Logf("of plugin %s, from %s to the present build, back, and there again:", p, earlier.name)
		loads[p].end(t)
	}
	notRestarted(t, namespace)

	i.remove(t)
	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("left: %s", left)
		}
	}()
	until(t, "nothing is left", func() bool {
		left = nil
		for o := range objects(t, namespace) {
			if !before[o] {
				left = append(left, o)
			}
		}
		slices.Sort(left)
		return len(left) == 0
	})
	t.Logf("%d objects were there in between, of the namespace and the cluster; %d are left", added, len(left))
}

// runs waits until all pods of a namespace have the images of a build.
func runs(t *testing.T, namespace string, b build) {
	t.Helper()
	until(t, "all pods are of "+b.name, func() bool {
		images := strings.Fields(kubectl(t, "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].spec.containers[*].image}"))
		return len(images) > 0 && !slices.ContainsFunc(images, func(i string) bool { return !strings.HasSuffix(i, ":"+b.tag) })
	})
}

// objects gives what is in a namespace and beside all namespaces, but for Events, which
// go by themselves.
func objects(t *testing.T, namespace string) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	for _, namespaced := range []string{"true", "false"} {
		var kinds []string
		for kind := range strings.FieldsSeq(kubectl(t, "api-resources", "--verbs=list", "--namespaced="+namespaced, "-o", "name")) {
			if kind != "events" && kind != "events.events.k8s.io" && kind != "componentstatuses" {
				kinds = append(kinds, kind)
			}
		}
		for o := range strings.FieldsSeq(kubectl(t, "get", strings.Join(kinds, ","), "-n", namespace, "-o", "name", "--ignore-not-found")) {
			all[o] = true
		}
	}
	return all
}

// takesCalls has the host of a kustomization take calls from outside of its pod.
const takesCalls = `patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: basic}
      spec:
        template:
          spec:
            containers:
              - name: basic
                env: [{name: BASIC_NO_CALLS, value: "false"}, {name: BASIC_TOKEN_FILE, value: /secrets/token}]
                volumeMounts: [{name: token, mountPath: /secrets}]
            volumes: [{name: token, secret: {secretName: token}}]
`

// TestUpgradeByKustomize has each build's own manifests.
func TestUpgradeByKustomize(t *testing.T) {
	const name = "e2e-upgrade"
	namespace(t, name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	last := ""
	upgraded(t, name, installer{
		plugins: []string{"pluginzh"},
		install: func(t *testing.T, b build) {
			last = written(t, b)
			kubectl(t, "apply", "-n", name, "-k", last, "--warnings-as-errors")
		},
		remove: func(t *testing.T) { kubectl(t, "delete", "-n", name, "-k", last, "--timeout=120s") },
	})
}

// written writes a kustomization of a build, and gives its directory.
func written(t *testing.T, b build) string {
	t.Helper()
	own, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deploy, err := filepath.Abs(b.deploy)
	if err == nil {
		deploy, err = filepath.Rel(own, deploy)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := "resources:\n  - " + deploy + "\n" + takesCalls + "images:\n"
	for _, name := range []string{"basic", "pluginzh"} {
		text += fmt.Sprintf("  - {name: %s, newName: %q, newTag: %q}\n", name, repository(name), b.tag)
	}
	if err := os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return own
}

// TestHostRolloutOnKeptConnections restarts the host alone, under calls of clients that
// keep their connections to it.
func TestHostRolloutOnKeptConnections(t *testing.T) {
	const name = "e2e-kept"
	node := ownNode(t)
	namespace(t, name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	tag := image("basic")
	kubectl(t, "apply", "-n", name, "-k", written(t, build{"the present build", "../../deploy", tag[strings.LastIndex(tag, ":")+1:]}))
	rolled(t, name, "basic", "pluginzh")
	url := through(t, node, kubectl(t, "get", "service", "basic", "-n", name, "-o", "jsonpath={.spec.clusterIP}")+":80")
	until(t, "the plugin is called", func() bool { return call(patient, url) == nil })
	l := begin(url, 4)
	for range 3 {
		old := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "name")
		kubectl(t, "rollout", "restart", "-n", name, "deployment/basic")
		rolled(t, name, "basic")
		kubectl(t, "wait", "-n", name, old, "--for=delete", "--timeout=90s")
	}
	t.Log("by connections that are kept, while the host was replaced three times:")
	l.end(t)
	notRestarted(t, name)
}
