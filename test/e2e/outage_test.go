// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOutageOfTheAPIServer stops it for a minute while a host calls, and changes
// something afterwards. The way to the host must not lead through the API server: the
// node's network is reached directly.
func TestOutageOfTheAPIServer(t *testing.T) {
	node := os.Getenv("E2E_NODE")
	if node == "" {
		t.Skip("E2E_NODE is not set: only the node of this harness can lose its API server")
	}
	control := func(verb string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "node/apiserver.sh", node, verb).CombinedOutput(); err != nil {
			t.Fatalf("apiserver.sh %s: %v\n%s", verb, err, out)
		}
	}
	namespace(t, "e2e-outage")
	apply(t, overlay(t, ""), "-n", "e2e-outage")
	kubectl(t, "create", "secret", "generic", "token", "-n", "e2e-outage", "--from-literal=token="+token)
	kubectl(t, "patch", "deployment", "basic", "-n", "e2e-outage", "--type=strategic", "-p", withToken)
	kubectl(t, "rollout", "status", "-n", "e2e-outage", "deployment/basic", "deployment/pluginzh", "--timeout=90s")
	kubectl(t, "expose", "deployment", "basic", "-n", "e2e-outage", "--name=outside", "--type=NodePort", "--port=8080")
	url := "http://10.199.7.2:" + kubectl(t, "get", "service", "outside", "-n", "e2e-outage", "-o", "jsonpath={.spec.ports[0].nodePort}")
	untilReady(t, url, 2)

	l := begin(url, 4)
	control("stop")
	timer := time.NewTimer(60 * time.Second)
	<-timer.C
	if _, err := try(t.Context(), "", "get", "--raw=/readyz"); err == nil {
		t.Error("the API server answers: this test shows nothing")
	}
	during := l.calls.Load()
	control("start")
	until(t, "the API server is back", func() bool {
		_, err := try(t.Context(), "", "get", "--raw=/readyz")
		return err == nil
	})
	kubectl(t, "scale", "-n", "e2e-outage", "deployment/pluginzh", "--replicas=4")
	took := untilReady(t, url, 4)
	t.Logf("%d calls during the outage of a minute; pods added right after it took calls %s later", during, took.Round(time.Millisecond))
	if got := get(url + "/readyz"); !strings.Contains(got, `"ready":true`) {
		t.Errorf("after the outage the host is %s", got)
	}
	l.end(t)
}

// withToken lets the host take calls from outside of its pod.
const withToken = `
spec:
  template:
    spec:
      containers:
        - name: basic
          env:
            - {name: BASIC_NO_CALLS, value: "false"}
            - {name: BASIC_TOKEN_FILE, value: /token/token}
          volumeMounts: [{name: token, mountPath: /token}]
      volumes: [{name: token, secret: {secretName: token}}]
`
