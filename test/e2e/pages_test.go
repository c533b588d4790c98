// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/docs"
)

// world is what pages presume in the cluster: a namespace, and what is in it.
type world struct {
	namespace string
	prepare   func(t *testing.T, namespace string)
}

// worlds has them by the beginning of a page's path; "" is for all others.
var worlds = map[string]world{
	"README.md":          {"pages-readme", unrestricted},
	"docs/kubernetes.md": {"pages-kubernetes", unrestricted},
	"docs/tenants.md": {"blue", func(t *testing.T, namespace string) {
		unrestricted(t, namespace)
		t.Cleanup(func() {
			_, _ = try(context.Background(), "", "delete", "-f", "../../deploy/tenants/admission.yaml", "--ignore-not-found")
		})
	}},
	"docs/adoption/": {"pages-adoption", unrestricted},
	"":               {"plugins", plugins},
}

// unrestricted makes a namespace where the pods of kubectl run are admitted.
func unrestricted(t *testing.T, name string) {
	kubectl(t, "create", "namespace", name)
	t.Cleanup(func() {
		dump(t, name)
		_, _ = try(context.Background(), "", "delete", "namespace", name, "--wait=false")
	})
	until(t, "the default service account", func() bool {
		_, err := try(t.Context(), "", "get", "serviceaccount", "default", "-n", name)
		return err == nil
	})
}

// plugins makes the namespace of the pages of errors: a host and a plugin that speak TLS,
// and the certificates that cert-manager would renew.
func plugins(t *testing.T, name string) {
	define(t)
	namespace(t, name)
	secrets(t, name)
	apply(t, overlay(t, "overlays/mtls"), "-n", name)
	kubectl(t, "apply", "-n", name, "-f", "../../deploy/overlays/mtls-cert-manager/certificates.yaml")
	rolled(t, name, "basic", "pluginzh")
}

// TestPages types what the pages tell people to type into a cluster, and compares what is
// printed with the page; all other commands are typed by test/docs.
func TestPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reattach")
	if err := docs.Copy("../..", dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"build", "-buildvcs=false", "-o", dir + "/bin/basic", "./host"},
		{"build", "-C", "cmd/reattach", "-buildvcs=false", "-o", dir + "/bin/reattach", "."},
	} {
		build := exec.CommandContext(t.Context(), "go", args...)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", build, err, out)
		}
	}
	found, err := docs.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	count, shown := 0, 0
	for _, beginning := range []string{"README.md", "docs/kubernetes.md", "docs/tenants.md", "docs/adoption/", ""} {
		w, made := worlds[beginning], false
		t.Run(w.namespace, func(t *testing.T) {
			for _, page := range found {
				if !strings.HasPrefix(page, beginning) || beginning == "" && elsewhere(page) {
					continue
				}
				blocks, err := docs.Read("../..", page)
				if err != nil {
					t.Fatal(err)
				}
				var s *docs.Shell
				for i, b := range blocks {
					if !b.InCluster() || b.Marks["not run"] != "" {
						continue
					}
					if !made {
						w.prepare(t, w.namespace)
						made = true
					}
					if s == nil {
						s = typed(t, dir, w.namespace)
					}
					count++
					output := docs.Output(blocks, i)
					if output != nil {
						shown++
					}
					err := s.Run(t.Context(), b, output)
					for end := time.Now().Add(patience); err != nil && b.Asks() && time.Now().Before(end); {
						time.Sleep(500 * time.Millisecond)
						err = s.Run(t.Context(), b, output)
					}
					if err != nil {
						t.Errorf("%v", err)
						break // what follows on the page needs it
					}
				}
			}
		})
	}
	fmt.Fprintf(t.Output(), "%d blocks of commands were typed into a cluster, and the output of %d was compared\n", count, shown)
}

// elsewhere tells whether a page has a world of its own.
func elsewhere(page string) bool {
	for beginning := range worlds {
		if beginning != "" && strings.HasPrefix(page, beginning) {
			return true
		}
	}
	return false
}

// typed makes a shell in a copy of the repository, with the images of this run.
func typed(t *testing.T, dir, namespace string) *docs.Shell {
	t.Helper()
	home := t.TempDir()
	if err := os.MkdirAll(home+"/.local/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	stands := map[string]string{
		"newTag: dev": "newTag: " + image("")[strings.LastIndex(image(""), ":")+1:],
	}
	for _, dir := range []string{"overlays/image-volume", "overlays/shared-object"} {
		stands["apply -k deploy/"+dir] = "apply -k " + kustomization(t, dir)
	}
	for _, name := range []string{"basic", "pluginzh"} {
		stands["docker.io/library/"+name+":dev"] = image(name)
	}
	s := &docs.Shell{Dir: dir, Log: t.TempDir(), Stands: stands, Env: []string{
		"PATH=" + dir + "/bin:" + home + "/.local/bin:" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + t.TempDir(), "LANG=C.UTF-8",
		"KUBECONFIG=" + configured(t, namespace), "PLUGIN_DIR=",
	}}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
