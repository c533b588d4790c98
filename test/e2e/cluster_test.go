// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long anything in the cluster may take.
const patience = 3 * time.Minute

// image gives the name of an image of this run, as E2E_IMAGE_PREFIX and E2E_IMAGE_TAG say.
func image(name string) string {
	return cmp.Or(os.Getenv("E2E_IMAGE_PREFIX"), "docker.io/library/") + name + ":" + cmp.Or(os.Getenv("E2E_IMAGE_TAG"), "e2e")
}

// kubectl runs one command, which must succeed, and gives what it prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), "", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// apply applies manifests. What the API server warns of is an error.
func apply(t *testing.T, manifests string, args ...string) {
	t.Helper()
	if out, err := try(t.Context(), manifests, append([]string{"apply", "--warnings-as-errors", "-f", "-"}, args...)...); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

func try(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// until waits for a condition and gives how long that took.
func until(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Since(begun) > patience {
			t.Fatalf("%s: not within %s", what, patience)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// says waits until what kubectl prints holds all of the texts.
func says(t *testing.T, args []string, texts ...string) time.Duration {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("kubectl %s says:\n%s", strings.Join(args, " "), last)
		}
	}()
	return until(t, "kubectl "+strings.Join(args, " ")+" says "+strings.Join(texts, " and "), func() bool {
		last, _ = try(t.Context(), "", args...)
		for _, text := range texts {
			if !strings.Contains(last, text) {
				return false
			}
		}
		return true
	})
}

// rolled waits until deployments are as they were asked to be.
func rolled(t *testing.T, namespace string, deployments ...string) {
	t.Helper()
	for _, d := range deployments {
		kubectl(t, "rollout", "status", "-n", namespace, "deployment/"+d, "--timeout=120s")
	}
}

// logsCalls has the plugin log each call, which the ledgers count.
const logsCalls = `patches:
  - target: {kind: Deployment, name: pluginzh}
    patch: '[{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "PLUGIN_LOG_LEVEL", "value": "debug"}}]'
`

// overlay renders a directory of deploy/ with the images of this run, by a kustomization
// of one's own, as the documentation has it.
func overlay(t *testing.T, dir string) string {
	t.Helper()
	return kubectl(t, "kustomize", kustomization(t, dir))
}

// kustomization writes that of overlay, and gives its directory.
func kustomization(t *testing.T, dir string) string {
	t.Helper()
	own, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	deploy, err := filepath.Abs("../../deploy/" + dir)
	if err == nil {
		deploy, err = filepath.Rel(own, deploy)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := "resources:\n  - " + deploy + "\n" + logsCalls + "images:\n"
	for _, name := range []string{"basic", "pluginzh", "basic-so", "greeter-so"} {
		full := image(name)
		tag := strings.LastIndex(full, ":")
		text += fmt.Sprintf("  - {name: %s, newName: %q, newTag: %q}\n", name, full[:tag], full[tag+1:])
	}
	if err := os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return own
}

// namespace makes one that admits restricted pods only, and warns of others, until the
// test ends.
func namespace(t *testing.T, name string) {
	t.Helper()
	kubectl(t, "create", "namespace", name)
	kubectl(t, "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
	t.Cleanup(func() {
		dump(t, name)
		_, _ = try(context.Background(), "", "delete", "namespace", name, "--wait=false")
	})
}

// dump shows what is in a namespace if the test has failed.
func dump(t *testing.T, namespace string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	show := func(args ...string) string {
		out, err := try(context.Background(), "", append(args, "-n", namespace, "--request-timeout=20s")...)
		if err != nil {
			out += "\n" + err.Error()
		}
		t.Logf("kubectl %s -n %s\n%s", strings.Join(args, " "), namespace, out)
		return out
	}
	show("get", "pods,services,endpointslices,deployments", "-o", "wide")
	show("describe", "pods,services")
	show("get", "events", "--sort-by=.lastTimestamp")
	for pod := range strings.FieldsSeq(show("get", "pods", "-o", "jsonpath={.items[*].metadata.name}")) {
		show("logs", pod, "--all-containers", "--prefix", "--tail=40")
	}
}

// get gives the body of an answer, or nothing.
func get(url string) string {
	r, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return string(body)
}
