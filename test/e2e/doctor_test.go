// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// report is what doctor prints of all ways.
type report struct {
	OK   bool
	Ways []struct {
		Target  string
		Finding *struct{ Code, Hop, Seen, Do, Page string }
		Unseen  []string
	}
}

// basic builds the host for this machine.
func basic(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "basic")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", path, "./host").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// doctor runs it, and gives both outputs and the exit code.
func doctor(t *testing.T, program, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"doctor"}, args...)...)
	cmd.Env = append(os.Environ(), "PLUGIN_DIR=")
	cmd.Stdin = strings.NewReader(stdin)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// diagnose has the finding on a set-up.
func diagnose(t *testing.T, program, namespace, name string, s setup) (code, told string) {
	t.Helper()
	target := "service/" + name
	if s.target != "" {
		target = s.target
	}
	args := []string{target, "-n", namespace, "-o", "json"}
	if s.host != "" {
		args = append(args, "--host", namespace+"/"+s.host)
	}
	if s.inside {
		args = append(args, "--in-cluster")
	}
	stdout, stderr, exit := doctor(t, program, "", args...)
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || len(r.Ways) != 1 {
		return "none", stdout + stderr
	}
	found := r.Ways[0].Finding
	if found == nil {
		if exit != 0 || !r.OK {
			t.Errorf("nothing is wrong, and the exit code is %d", exit)
		}
		return "", stdout
	}
	if exit != 3 || r.OK || found.Do == "" || !strings.HasSuffix(found.Page, "/docs/errors/"+found.Code+".md") {
		t.Errorf("exit code %d, %+v", exit, *found)
	}
	return found.Code, found.Code + " " + found.Hop + ": " + found.Seen
}

// TestDoctor breaks set-ups in one place each: the first hop that fails is named.
func TestDoctor(t *testing.T) {
	ownNode(t)
	const name = "e2e-doctor"
	program := basic(t)
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	all := setups(t)
	var manifests strings.Builder
	for each, s := range all {
		text := s.more
		if !s.bare {
			text = strings.NewReplacer(s.replace...).Replace(setupPlugin) + "\n---\n" + text
		}
		manifests.WriteString("---\n" + strings.NewReplacer("EACH", each, "IMAGE", image("pluginzh")).Replace(text) + "\n")
	}
	apply(t, manifests.String(), "-n", name)
	rolled(t, name, "basic", "pluginzh")
	var right atomic.Int32
	t.Run("setups", func(t *testing.T) {
		for each, s := range all {
			t.Run(each, func(t *testing.T) {
				t.Parallel()
				if s.then != nil {
					s.then(t, name, each)
				}
				var code, told string
				tries := 0
				for deadline := time.Now().Add(patience / 2); ; {
					tries++
					if code, told = diagnose(t, program, name, each, s); code == s.want || time.Now().After(deadline) || t.Context().Err() != nil {
						break
					}
				}
				if code != s.want || !strings.Contains(told, s.says) {
					t.Fatalf("want %q, got %s", s.want, told)
				}
				right.Add(1)
				if s.want != "" {
					t.Logf("at look %d: %s", tries, told)
				}
			})
		}
	})
	t.Logf("%d of %d set-ups are told right", right.Load(), len(all))

	stdout, stderr, code := doctor(t, program, "", "service/pluginzh", "-n", name, "--in-cluster")
	if stdout != "" || stderr != "" || code != 0 {
		t.Errorf("the healthy plugin: exit code %d, %s%s", code, stdout, stderr)
	}
	if _, stderr, code = doctor(t, program, "", "service/pluginzh", "-n", name); code != 0 || !strings.Contains(stderr, "--in-cluster") {
		t.Errorf("from outside of the cluster: exit code %d, %s", code, stderr)
	}
	if stdout, stderr, code = doctor(t, program, overlay(t, ""), "--pre", "-"); stdout != "" || stderr != "" || code != 0 {
		t.Errorf("--pre of deploy/: exit code %d, %s%s", code, stdout, stderr)
	}
	until(t, "no Job is left", func() bool { return kubectl(t, "get", "jobs", "-n", name, "-o", "name") == "" })
}
