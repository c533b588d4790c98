// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/test/kit"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a source behind a Manager, until the test ends.
type running struct {
	*testing.T
	api     *api
	source  *Source
	manager *discovery.Manager
}

func start(t *testing.T, a *api, opts Options) *running {
	t.Helper()
	opts.Config = a.config()
	if opts.Namespaces == nil {
		opts.Namespaces = []string{"ns"}
	}
	source, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{source}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &running{t, a, source, m}
}

// until waits for a condition.
func (r *running) until(what string, done func() bool) {
	r.Helper()
	kit.Eventually(r, 20*time.Second, func() error {
		if done() {
			return nil
		}
		return fmt.Errorf("%s: endpoints %v, status %+v", what, r.ids(), r.manager.Status())
	})
}

func (r *running) ids() []string {
	var out []string
	for _, e := range r.manager.Current().Endpoints {
		out = append(out, e.ID)
	}
	return out
}

func (r *running) untilIDs(what string, want ...string) {
	r.Helper()
	r.until(what, func() bool { return r.manager.Current().Synced && slices.Equal(r.ids(), want) })
}

// trouble gives the text of what the source reports at present.
func (r *running) trouble() string {
	if err := r.manager.Status()[0].LastError; err != nil {
		return err.Error()
	}
	return ""
}

func TestLabelAttachesAndDetaches(t *testing.T) {
	a := newAPI(t)
	plain := service("ns", "zh", func(s *corev1.Service) { s.Labels = nil })
	a.put(plain, slice("ns", "zh", "a", pod("10.0.0.1", "1")), service("ns", "en"), service("other", "far"), slice("other", "far", "b", pod("10.0.0.9", "9")))
	r := start(t, a, Options{})
	r.untilIDs("nothing has both the label and an endpoint")
	a.put(service("ns", "zh"))
	r.untilIDs("the label is there", "zh@10.0.0.1:7000")
	a.put(service("ns", "zh", func(s *corev1.Service) { s.Labels = map[string]string{"other": "x"} }))
	r.untilIDs("the label is gone")
	if names := r.manager.Current().Plugins; len(names) != 1 || names[0].Name != "en" {
		t.Errorf("plugins %v: want en alone, which is labelled and has no slice yet", names)
	}
}

func TestNamespaces(t *testing.T) {
	cases := map[string]struct {
		reason     string
		namespaces []string
		home       string
		want       []string
	}{
		"one":  {"names are those of the Services", []string{"ns"}, "", []string{"zh@10.0.0.1:7000"}},
		"two":  {"names stay when a namespace is added after the first", []string{"other", "ns"}, "", []string{"zh@10.0.0.2:7000", "zh.ns@10.0.0.1:7000"}},
		"home": {"it need not be the first", []string{"other", "ns"}, "ns", []string{"zh@10.0.0.1:7000", "zh.other@10.0.0.2:7000"}},
		"all":  {"none of them is the host's", []string{AllNamespaces}, "", []string{"zh.ns@10.0.0.1:7000", "zh.other@10.0.0.2:7000", "zh.third@10.0.0.3:7000"}},
		"mine": {"names stay when all others are added", []string{AllNamespaces}, "ns", []string{"zh@10.0.0.1:7000", "zh.other@10.0.0.2:7000", "zh.third@10.0.0.3:7000"}},
		"none": {"a namespace without Services is a state too", []string{"empty"}, "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			for i, ns := range []string{"ns", "other", "third"} {
				a.put(service(ns, "zh"), slice(ns, "zh", "a", pod([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i], ns)))
			}
			start(t, a, Options{Namespaces: c.namespaces, Home: c.home}).untilIDs(c.reason, c.want...)
		})
	}
}

// TestLabelThatSaysNo: the selector asks whether the label is there, and people write
// false to turn things off.
func TestLabelThatSaysNo(t *testing.T) {
	a := newAPI(t)
	says := func(name, value string) *corev1.Service {
		return service("ns", name, func(s *corev1.Service) { s.Labels = map[string]string{DefaultSelector: value} })
	}
	for i, value := range []string{"false", "No", "off", "0"} {
		name := fmt.Sprint("no-", i)
		a.put(says(name, value), slice("ns", name, name, pod(fmt.Sprint("10.0.1.", i), name)))
	}
	for i, value := range []string{"", "true", "zh"} {
		name := fmt.Sprint("yes-", i)
		a.put(says(name, value), slice("ns", name, name, pod(fmt.Sprint("10.0.2.", i), name)))
	}
	r := start(t, a, Options{})
	r.untilIDs("those that do not say no", "yes-0@10.0.2.0:7000", "yes-1@10.0.2.1:7000", "yes-2@10.0.2.2:7000")
	a.put(says("yes-1", "false"))
	r.untilIDs("one says no now", "yes-0@10.0.2.0:7000", "yes-2@10.0.2.2:7000")
}

func TestOtherSelector(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"), service("ns", "en", func(s *corev1.Service) { s.Labels = map[string]string{"tier": "greeter"} }),
		slice("ns", "zh", "a", pod("10.0.0.1", "1")), slice("ns", "en", "b", pod("10.0.0.2", "2")))
	start(t, a, Options{Selector: "tier in (greeter)"}).untilIDs("only the other label counts", "en@10.0.0.2:7000")
}

// TestOneService has a host look at one Service, which need not be labelled.
func TestOneService(t *testing.T) {
	a := newAPI(t)
	plain := service("ns", "zh", func(s *corev1.Service) { s.Labels = nil })
	a.put(plain, slice("ns", "zh", "a", pod("10.0.0.1", "1")), service("ns", "en"), slice("ns", "en", "b", pod("10.0.0.2", "2")))
	r := start(t, a, Options{Service: "zh"})
	r.untilIDs("the Service is named", "zh@10.0.0.1:7000")
	if names := r.manager.Current().Plugins; len(names) != 1 || names[0].Name != "zh" {
		t.Errorf("plugins %v: want zh alone", names)
	}
	a.put(slice("ns", "zh", "a", pod("10.0.0.3", "3")))
	r.untilIDs("its pod was replaced", "zh@10.0.0.3:7000")
}

func TestGoneVersion(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"), slice("ns", "zh", "a", pod("10.0.0.1", "1")))
	r := start(t, a, Options{})
	r.untilIDs("first state", "zh@10.0.0.1:7000")
	a.put(slice("ns", "zh", "a", pod("10.0.0.2", "2")))
	a.forget()
	a.put(slice("ns", "zh", "b", pod("10.0.0.3", "3")))
	r.untilIDs("what changed while the version was gone", "zh@10.0.0.2:7000", "zh@10.0.0.3:7000")
	if got := r.trouble(); got != "" {
		t.Errorf("a version that is too old was reported: %s", got)
	}
}

func TestRefusal(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"), slice("ns", "zh", "a", pod("10.0.0.1", "1")), service("open", "en"), slice("open", "en", "b", pod("10.0.0.2", "2")))
	refuse := func(refuse bool) {
		for _, verb := range []string{"list", "watch"} {
			a.refused[verb+" endpointslices ns"] = refuse
		}
	}
	a.do(func() { refuse(true) })
	r := start(t, a, Options{Namespaces: []string{"ns", "open"}})
	r.untilIDs("the namespace that may be seen is not kept away", "en.open@10.0.0.2:7000")
	r.until("the refusal is reported", func() bool {
		return strings.Contains(r.trouble(), "endpointslices in namespace ns: the role of this host lacks the verb ")
	})
	a.do(func() { refuse(false) })
	r.untilIDs("the role has been mended", "en.open@10.0.0.2:7000", "zh@10.0.0.1:7000")
	r.until("the report is over", func() bool { return r.trouble() == "" })
}

// TestRefusalOutlastsChanges: a namespace stays hidden while another one changes. It is
// reported once, and the source is out of step since then.
func TestRefusalOutlastsChanges(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"), service("open", "en"), slice("open", "en", "b", pod("10.0.0.2", "2")))
	a.do(func() { a.refused["list endpointslices ns"], a.refused["watch endpointslices ns"] = true, true })
	r := start(t, a, Options{Namespaces: []string{"ns", "open"}})
	r.untilIDs("what may be seen is found", "en.open@10.0.0.2:7000")
	r.until("the refusal is reported", func() bool { return strings.Contains(r.trouble(), "lacks the verb list") })
	before := r.manager.Status()[0]
	for n := range 5 {
		ip := fmt.Sprintf("10.0.1.%d", n+1)
		a.put(slice("open", "en", "b", pod(ip, ip)))
		r.untilIDs("the open namespace is followed", "en.open@"+ip+":7000")
	}
	after := r.manager.Status()[0]
	if after.LastError == nil || !after.Since.Equal(before.Since) {
		t.Errorf("out of step since %s, and after changes elsewhere since %s (%v)", before.Since, after.Since, after.LastError)
	}
	if after.Errors != before.Errors {
		t.Errorf("%d errors were counted while nothing new went wrong", after.Errors-before.Errors)
	}
}

func TestRefusalOfEverything(t *testing.T) {
	a := newAPI(t)
	a.do(func() {
		for _, what := range []string{"list services ns", "watch services ns", "list endpointslices ns", "watch endpointslices ns"} {
			a.refused[what] = true
		}
	})
	r := start(t, a, Options{})
	r.until("both refusals are reported", func() bool {
		return strings.Contains(r.trouble(), " on services there") && strings.Contains(r.trouble(), " on endpointslices there")
	})
	if r.manager.Current().Synced {
		t.Error("the source claims to have seen a state that it may not see")
	}
}

func TestOptions(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1"}
	cases := map[string]struct {
		reason string
		opts   Options
		want   string
	}{
		"no cluster":     {"there is no default that fits", Options{Namespaces: []string{"a"}}, "make Kubernetes source: option Config is missing: see Connect"},
		"no namespace":   {"the caller knows its own", Options{Config: config}, "make Kubernetes source: option Namespaces is empty"},
		"all and one":    {"all has it already", Options{Config: config, Namespaces: []string{"*", "a"}}, `make Kubernetes source: option Namespaces *,a: "*" means all, and stands alone`},
		"not a name":     {"it would be part of a path", Options{Config: config, Namespaces: []string{"a/b"}}, `option Namespaces: "a/b" is no namespace`},
		"not a selector": {"the server would refuse it later", Options{Config: config, Namespaces: []string{"a"}, Selector: "a in"}, `option Selector "a in"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := New(c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	home := t.TempDir()
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", home)
	path := filepath.Join(home, ".kube", "config")
	if _, _, err := Connect(""); err == nil || !strings.Contains(err.Error(), "KUBECONFIG") || !strings.Contains(err.Error(), path) {
		t.Errorf("outside of a pod: error %v, want one that names KUBECONFIG and %s", err, path)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	written := `{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"k","cluster":{"server":"https://cluster.example.org:6443"}}],
"users":[{"name":"u","user":{"token":"t"}}],
"contexts":[{"name":"c","context":{"cluster":"k","user":"u","namespace":"greeters"}}]}`
	if err := os.WriteFile(path, []byte(written), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kubeconfig := range []string{path, ""} { // kubectl reads the file of the home directory as well
		config, namespace, err := Connect(kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"https://cluster.example.org:6443", "t", "greeters"}, []string{config.Host, config.BearerToken, namespace}); diff != "" {
			t.Errorf("KUBECONFIG=%s: what the file says (-want +got)\n%s", kubeconfig, diff)
		}
	}
	if _, _, err := Connect(path + "-missing"); err == nil || !strings.Contains(err.Error(), path+"-missing") {
		t.Errorf("without the file: error %v, want one that names it", err)
	}
}

func TestLogr(t *testing.T) {
	var out strings.Builder
	logger := NewLogr(hclog.New(&hclog.LoggerOptions{Name: "host", Level: hclog.Debug, Output: &out, DisableTime: true}))
	logger.WithName("reflector").WithValues("type", "services").Info("starting", "count", 1)
	logger.V(4).Info("too much")
	logger.Error(errors.New("refused"), "watch ended")
	want := "[DEBUG] host.client-go.reflector: starting: type=services count=1\n[WARN]  host.client-go: watch ended: error=refused\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("what is logged (-want +got)\n%s", diff)
	}
}
