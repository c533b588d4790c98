// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// port forwards a port of the cluster to this machine until the test ends, and gives its URL.
func port(t *testing.T, namespace, what, number string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "kubectl", "port-forward", "-n", namespace, what, ":"+number)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "http://127.0.0.1:" + m[1]
		}
	}
	t.Fatalf("port-forward to %s gave no port", what)
	return ""
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

// load calls a plugin through a host, from several goroutines, until it is ended.
type load struct {
	calls, failed atomic.Int64
	first         atomic.Pointer[string]
	stop          chan struct{}
	wg            sync.WaitGroup
}

// token is what hosts ask for that take calls from outside of their pod.
const token = "0123456789abcdef0123456789abcdef"

func call(client *http.Client, url string) error {
	q, err := http.NewRequest(http.MethodPost, url+"/api/v1/plugins/pluginzh/kinds/greeter/methods/Greet", strings.NewReader(`{"name":"e2e"}`))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Authorization", "Bearer "+token)
	r, err := client.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", r.Status, body)
	}
	return nil
}

func begin(url string, callers int) *load {
	l := &load{stop: make(chan struct{})}
	client := &http.Client{Timeout: 40 * time.Second}
	for range callers {
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				l.calls.Add(1)
				if err := call(client, url); err != nil {
					l.failed.Add(1)
					text := err.Error()
					l.first.CompareAndSwap(nil, &text)
				}
			}
		})
	}
	return l
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d calls, %d failed", l.calls.Load(), l.failed.Load())
	if l.failed.Load() > 0 {
		t.Errorf("the first failed with: %s", *l.first.Load())
	}
	if l.calls.Load() < 100 {
		t.Errorf("%d calls are too few to show anything", l.calls.Load())
	}
}

// underLoad brings up the host, three pods of the plugin and a host that takes calls
// from its own pod only, which is where a forwarded port ends, and begins to call.
func underLoad(t *testing.T, name string) (*load, string) {
	t.Helper()
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	apply(t, strings.ReplaceAll(caller, "IMAGE", image("basic")), "-n", name)
	kubectl(t, "rollout", "status", "-n", name, "deployment/pluginzh", "--timeout=90s")
	says(t, []string{"logs", "-n", name, "pod/caller"}, "您好")
	url := port(t, name, "pod/caller", "8080")
	untilReady(t, url, 3)
	return begin(url, 4), url
}

// untilReady waits until that many endpoints take calls, and no other is listed.
func untilReady(t *testing.T, url string, n int) time.Duration {
	t.Helper()
	return until(t, fmt.Sprintf("%d endpoints take calls", n), func() bool {
		plugins := get(url + "/api/v1/plugins")
		return strings.Count(plugins, `"state":"READY"`) == n && strings.Count(plugins, `:7000","placement"`) == n
	})
}

// TestRollout restarts and scales the plugin, and restarts the host, under constant calls.
func TestRollout(t *testing.T) {
	l, url := underLoad(t, "e2e-roll")
	begun := time.Now()
	kubectl(t, "rollout", "restart", "-n", "e2e-roll", "deployment/pluginzh")
	kubectl(t, "rollout", "status", "-n", "e2e-roll", "deployment/pluginzh", "--timeout=90s")
	t.Logf("rollout of three pods: %s", time.Since(begun).Round(time.Millisecond))
	for _, n := range []int{6, 1, 3} {
		kubectl(t, "scale", "-n", "e2e-roll", "deployment/pluginzh", fmt.Sprintf("--replicas=%d", n))
		kubectl(t, "rollout", "status", "-n", "e2e-roll", "deployment/pluginzh", "--timeout=90s")
		t.Logf("scaled to %d: attached %s after the rollout was over", n, untilReady(t, url, n).Round(time.Millisecond))
	}
	pods := []string{"get", "pods", "-n", "e2e-roll", "-l", "app.kubernetes.io/name=pluginzh",
		"-o", "jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount} {end}"}
	until(t, "the pods that leave are gone", func() bool { return strings.Count(kubectl(t, pods...), " 0") == 3 })
	before := kubectl(t, pods...)
	kubectl(t, "rollout", "restart", "-n", "e2e-roll", "deployment/basic")
	kubectl(t, "rollout", "status", "-n", "e2e-roll", "deployment/basic", "--timeout=90s")
	if after := kubectl(t, pods...); after != before {
		t.Errorf("the host's own rollout changed the plugin's pods from %s to %s", before, after)
	}
	l.end(t)
}

// TestForcedDelete kills pods without warning under calls of an idempotent method.
func TestForcedDelete(t *testing.T) {
	l, url := underLoad(t, "e2e-force")
	for range 3 {
		pod := kubectl(t, "get", "pods", "-n", "e2e-force", "-l", "app.kubernetes.io/name=pluginzh", "-o", "jsonpath={.items[0].metadata.name}")
		kubectl(t, "delete", "pod", "-n", "e2e-force", pod, "--force", "--grace-period=0")
		kubectl(t, "rollout", "status", "-n", "e2e-force", "deployment/pluginzh", "--timeout=90s")
		untilReady(t, url, 3)
	}
	l.end(t)
}

const caller = `
apiVersion: v1
kind: Pod
metadata:
  name: caller
spec:
  serviceAccountName: basic
  automountServiceAccountToken: true
  enableServiceLinks: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: basic
      image: IMAGE
      env:
        - {name: KUBE_SELECTOR, value: reattach.dev/plugin}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`
