// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load calls a plugin through a host, from several goroutines, until it is ended.
type load struct {
	begun         time.Time
	calls, failed atomic.Int64
	longest       atomic.Int64 // of the calls, in nanoseconds
	first         atomic.Pointer[string]
	stop          chan struct{}
	wg            sync.WaitGroup
}

// token is what hosts ask for that take calls from outside of their pod.
const token = "0123456789abcdef0123456789abcdef"

// called is what a plugin logs of each call by a load, with as many times as once. The
// hosts greet each plugin by the same method, and say twice.
const (
	called = "message from greeter.Hi"
	once   = 1
)

func call(client *http.Client, url string) error { return callPlugin(client, url, "pluginzh") }

func callPlugin(client *http.Client, url, plugin string) error {
	q, err := http.NewRequest(http.MethodPost, url+"/api/v1/plugins/"+plugin+"/kinds/greeter/methods/Hi", strings.NewReader(fmt.Sprintf(`{"times":%d}`, once)))
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

// patient is a client that waits for longer than a host repeats a call.
var patient = &http.Client{Timeout: 40 * time.Second}

func begin(url string, callers int) *load { return beginPlugin(url, "pluginzh", callers) }

func beginPlugin(url, plugin string, callers int) *load {
	l := &load{begun: time.Now(), stop: make(chan struct{})}
	for range callers {
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				l.calls.Add(1)
				begun := time.Now()
				err := callPlugin(patient, url, plugin)
				for took := int64(time.Since(begun)); ; {
					if most := l.longest.Load(); took <= most || l.longest.CompareAndSwap(most, took) {
						break
					}
				}
				if err != nil {
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

// caller brings up a host that takes calls, and gives its URL. Of env each is NAME=VALUE.
func caller(t *testing.T, namespace, name string, env ...string) string {
	t.Helper()
	callingPod(t, namespace, name, env...)
	return port(t, namespace, "pod/"+name, "8080")
}

// callingPod brings up a host that takes calls from its own pod only, which is where a
// forwarded port ends, unless env says otherwise.
func callingPod(t *testing.T, namespace, name string, env ...string) {
	t.Helper()
	var more strings.Builder
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&more, "        - {name: %s, value: %q}\n", key, value)
	}
	apply(t, strings.NewReplacer("NAME", name, "IMAGE", image("basic"), "        MORE\n", more.String()).Replace(podThatCalls), "-n", namespace)
	kubectl(t, "wait", "-n", namespace, "pod/"+name, "--for=condition=Ready", "--timeout=120s")
}

const podThatCalls = `
apiVersion: v1
kind: Pod
metadata:
  name: NAME
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
        MORE
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: secrets, mountPath: /secrets}]
  volumes: # the authority alone, and a token, where there are any
    - name: secrets
      projected:
        sources:
          - secret: {name: basic-tls, optional: true, items: [{key: ca.crt, path: ca.crt}]}
          - secret: {name: token, optional: true}
`

// endpoint is what a host says of one.
type endpoint struct {
	Address, State, Protocol, Instance, TLS, LastError string
	Version                                            int
}

// endpointsOf asks a host for those of pluginzh.
func endpointsOf(url string) []endpoint {
	var plugin struct{ Endpoints []endpoint }
	if json.Unmarshal([]byte(get(url+"/api/v1/plugins/pluginzh")), &plugin) != nil {
		return nil
	}
	return plugin.Endpoints
}

// untilReady waits until that many endpoints take calls, and no other is listed.
func untilReady(t *testing.T, url string, n int) time.Duration {
	t.Helper()
	return until(t, fmt.Sprintf("%d endpoints take calls", n), func() bool {
		all := endpointsOf(url)
		for _, e := range all {
			if e.State != "READY" {
				return false
			}
		}
		return len(all) == n
	})
}

// underLoad brings up the host, three pods of the plugin and a caller, and begins to call.
func underLoad(t *testing.T, name string) (*load, *ledger, string) {
	t.Helper()
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	rolled(t, name, "basic", "pluginzh")
	url := caller(t, name, "caller")
	untilReady(t, url, 3)
	pods := keep(t, name)
	return begin(url, 4), pods, url
}
