// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long anything in the cluster may take.
const patience = 3 * time.Minute

// kubectl runs one command, which must succeed, and gives what it prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), "", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// apply applies manifests.
func apply(t *testing.T, manifests string, args ...string) {
	t.Helper()
	if out, err := try(t.Context(), manifests, append([]string{"apply", "-f", "-"}, args...)...); err != nil {
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

// overlay renders a directory of deploy/ with the images of this run.
func overlay(t *testing.T, dir string) string {
	t.Helper()
	text := kubectl(t, "kustomize", "../../deploy/"+dir)
	for _, name := range []string{"basic", "pluginzh"} {
		text = strings.ReplaceAll(text, "image: "+name+"\n", "image: "+image(name)+"\n")
	}
	return text
}

// namespace makes one that admits restricted pods only, until the test ends.
func namespace(t *testing.T, name string) {
	t.Helper()
	kubectl(t, "create", "namespace", name)
	kubectl(t, "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := try(context.Background(), "", "describe", "pods,services", "-n", name)
			logs, _ := try(context.Background(), "", "logs", "-n", name, "deployment/basic", "--tail=50")
			t.Logf("%s\n%s", out, logs)
		}
		_, _ = try(context.Background(), "", "delete", "namespace", name, "--wait=false")
	})
}
