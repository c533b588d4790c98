// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOutageOfTheAPIServer stops it for a minute while a host calls, and changes
// something afterwards.
func TestOutageOfTheAPIServer(t *testing.T) {
	node := ownNode(t)
	control := func(verb string, programs ...string) {
		t.Helper()
		for _, p := range programs {
			if out, err := exec.CommandContext(t.Context(), "node/program.sh", node, p, verb).CombinedOutput(); err != nil {
				t.Fatalf("program.sh %s %s: %v\n%s", p, verb, err, out)
			}
		}
	}
	const name = "e2e-outage"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	rolled(t, name, "pluginzh")
	callingPod(t, name, "caller", "BASIC_LISTEN=:8080", "BASIC_TOKEN_FILE=/secrets/token")
	url := through(t, node, kubectl(t, "get", "pod", "caller", "-n", name, "-o", "jsonpath={.status.podIP}")+":8080")
	untilReady(t, url, 2)

	l := begin(url, 4)
	control("stop", "kube-apiserver")
	timer := time.NewTimer(60 * time.Second)
	<-timer.C
	if _, err := try(t.Context(), "", "get", "--raw=/readyz"); err == nil {
		t.Error("the API server answers: this test shows nothing")
	}
	during := l.calls.Load()
	control("start", "kube-apiserver")
	until(t, "the API server is back", func() bool {
		_, err := try(t.Context(), "", "get", "--raw=/readyz")
		return err == nil
	})
	// What nobody but the host acts on shows what the host itself takes.
	apply(t, writtenService("after", writtenSlice("after", "after", 0, 1)), "-n", name)
	known := until(t, "a Service made afterwards is known", func() bool { return listed(url) == 1 })
	// With leader election these two would have lost their lease, ended, and been started
	// again. While they are away nobody mends what is written here: what a cluster says
	// that has not heard of its nodes during the outage, that none of their pods is ready.
	controllers := []string{"kube-controller-manager", "kube-scheduler"}
	control("stop", controllers...)
	slice := kubectl(t, "get", "endpointslices", "-n", name, "-l", "kubernetes.io/service-name=pluginzh", "-o", "name")
	kubectl(t, "patch", "-n", name, slice, "--type=json", "-p",
		`[{"op":"replace","path":"/endpoints/0/conditions/ready","value":false},{"op":"replace","path":"/endpoints/1/conditions/ready","value":false}]`)
	says(t, []string{"logs", "-n", name, "caller"}, "the cluster calls no pod ready")
	doubted := l.calls.Load()
	until(t, "calls go on", func() bool { return l.calls.Load() > doubted+100 })
	trusted := l.calls.Load() - doubted
	control("start", controllers...)
	offered := func() int {
		return strings.Count(kubectl(t, "get", "-n", name, slice, "-o", "jsonpath={.endpoints[*].conditions.ready}"), "true")
	}
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=4")
	all := until(t, "four pods are in the EndpointSlice", func() bool { return offered() == 4 })
	took := untilReady(t, url, 4)
	t.Logf("%d calls during the outage of a minute", during)
	t.Logf("%d calls while its EndpointSlice had no ready pod", trusted)
	t.Logf("a Service made right after it was known %s later", known.Round(time.Millisecond))
	t.Logf("the cluster itself took %s to have two more pods; they took calls %s after that at most", all.Round(time.Millisecond), took.Round(time.Millisecond))
	told := kubectl(t, "logs", "-n", name, "caller")
	if began, ended := strings.LastIndex(told, "source fails"), strings.LastIndex(told, "source is in step again"); began < 0 || ended < began {
		t.Errorf("the last word on discovery is not that it is in step again:\n%s", told)
	}
	if got := get(url + "/readyz"); !strings.Contains(got, `"ready":true`) {
		t.Errorf("after the outage the host is %s", got)
	}
	l.end(t)
}

// through gives a URL that leads to an address in the network of the node. Neither the
// API server nor kube-proxy, which does not know better than it, is on the way.
func through(t *testing.T, node, address string) string {
	t.Helper()
	return proxied(t, node, address, &http.Transport{MaxIdleConnsPerHost: 8})
}

// proxied is through, by connections of transport.
func proxied(t *testing.T, node, address string, transport *http.Transport) string {
	t.Helper()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", nodeProcess(t, node)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialIn(ctx, there, network, address)
	}
	proxy.Transport = transport
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// dialIn connects from another network namespace, where the socket then stays.
func dialIn(ctx context.Context, namespace *os.File, network, address string) (net.Conn, error) {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter the network of the node: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if unix.Setns(int(here.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread() // else the thread ends with this goroutine
	}
	return conn, err
}
