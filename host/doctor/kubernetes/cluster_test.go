// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/reattach/reattach/host/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an API server that says what a test has written down, by method and path.
type server struct {
	answers map[string]string
	refused []string // what is forbidden

	mu    sync.Mutex
	asked []string
	sent  map[string]string // bodies
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + r.URL.Path
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked = append(s.asked, what+"?"+r.URL.RawQuery)
	s.sent[what] = string(body)
	s.mu.Unlock()
	answer, ok := s.answers[what]
	w.Header().Set("Content-Type", "application/json")
	switch {
	case slices.Contains(s.refused, what):
		w.WriteHeader(http.StatusForbidden)
		answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"services is forbidden"}`
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`
	}
	_, _ = io.WriteString(w, answer)
}

// start gives a client of the server.
func (s *server) start(t *testing.T, in bool) *Cluster {
	t.Helper()
	s.sent = make(map[string]string)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c, err := NewCluster(&rest.Config{Host: web.URL, Transport: &http.Transport{DisableKeepAlives: true}}, "plugins", in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// healthy are the answers of a cluster in which the plugin zh is well.
func healthy() map[string]string {
	const allowed = `{"status": {"allowed": true}}`
	return map[string]string{
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews": allowed,
		"POST /apis/authorization.k8s.io/v1/subjectaccessreviews":     allowed,
		"GET /apis/apps/v1/namespaces/plugins/deployments/basic": `{"metadata": {"name": "basic", "namespace": "plugins"}, "spec": {"template": {
			"metadata": {"labels": {"app": "basic"}},
			"spec": {"serviceAccountName": "basic", "initContainers": [{"name": "before"}], "containers": [{"name": "proxy"},
				{"name": "basic", "image": "basic:1", "args": ["serve"], "readinessProbe": {"httpGet": {"port": 8080}},
				"env": [{"name": "KUBE_SELECTOR", "value": "reattach.dev/plugin"}, {"name": "LOG_LEVEL", "value": "trace"}]}]}}}}`,
		"GET /api/v1/namespaces/plugins/services": `{"items": [{"metadata": {"name": "zh", "namespace": "plugins", "labels": {"reattach.dev/plugin": "true"}},
			"spec": {"selector": {"app": "zh"}, "ports": [{"name": "plugin", "port": 7000, "targetPort": 7000, "protocol": "TCP"}]}}]}`,
		"GET /api/v1/namespaces/plugins/pods": `{"items": [{"metadata": {"name": "zh-0", "labels": {"app": "zh"}},
			"status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}}]}`,
		"GET /apis/discovery.k8s.io/v1/namespaces/plugins/endpointslices": `{"items": [{"metadata": {"name": "zh-a", "namespace": "plugins"}, "addressType": "IPv4",
			"ports": [{"name": "plugin", "port": 7000}], "endpoints": [{"addresses": ["10.0.0.1"]}]}]}`,
		"GET /apis/networking.k8s.io/v1/namespaces/plugins/networkpolicies": `{"items": [{"metadata": {"name": "zh"}, "spec": {"podSelector": {},
			"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "basic"}}}]}]}}]}`,
		"GET /api/v1/namespaces/plugins": `{"metadata": {"name": "plugins"}}`,
	}
}

// TestCluster walks in a cluster, as somebody who may do all and as the host.
func TestCluster(t *testing.T) {
	without := func(what ...string) func(map[string]string) {
		return func(answers map[string]string) {
			for _, w := range what {
				delete(answers, w)
			}
		}
	}
	const pods, policies = "GET /api/v1/namespaces/plugins/pods", "GET /apis/networking.k8s.io/v1/namespaces/plugins/networkpolicies"
	const services, host = "GET /api/v1/namespaces/plugins/services", "GET /apis/apps/v1/namespaces/plugins/deployments/basic"
	cases := map[string]struct {
		reason  string
		in      bool
		change  func(map[string]string)
		refused []string
		want    doctor.Code
		unseen  string
	}{
		"as an administrator": {reason: "all is seen"},
		"as the host":         {"it may not read pods", true, nil, []string{pods, policies}, "", "pods policy"},
		"other host": {"the only one that looks for plugins is it", false, func(a map[string]string) {
			a["GET /apis/apps/v1/namespaces/plugins/deployments"] = `{"items": [{"metadata": {"name": "web"}}, ` + a[host] + `]}`
			delete(a, host)
		}, nil, "", ""},
		"two hosts": {"it may be either", false, func(a map[string]string) {
			a["GET /apis/apps/v1/namespaces/plugins/deployments"] = `{"items": [` + a[host] + `, ` + a[host] + `]}`
			delete(a, host)
		}, nil, "", "rights policy"},
		"no host":       {"policies and rights are somebody's", false, without(host), nil, "", "rights policy"},
		"unable to ask": {"rights of others are an administrator's to ask", false, nil, []string{"POST /apis/authorization.k8s.io/v1/subjectaccessreviews"}, "", "rights"},
		"no rights": {"the host may not do anything", true, func(a map[string]string) {
			a["POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"] = `{"status": {"allowed": false}}`
		}, nil, doctor.NoRights, ""},
		"refused": {"nor may whoever asks", false, without(host), []string{services}, doctor.NoRights, "rights"},
		"no namespace": {"nor has it Services", false, func(a map[string]string) {
			a[services] = `{"items": []}`
			delete(a, "GET /api/v1/namespaces/plugins")
		}, nil, doctor.NoService, ""},
		"no Service": {"the list is empty", false, func(a map[string]string) { a[services] = `{"items": []}` }, nil, doctor.NoService, ""},
		"nonsense":   {"it is no API server", false, func(a map[string]string) { a[services] = `<html>` }, nil, doctor.NoCluster, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: healthy(), refused: tc.refused}
			if tc.change != nil {
				tc.change(s.answers)
			}
			ways, err := s.start(t, tc.in).Ways(t.Context(), doctor.Question{Service: "zh", Program: "basic"}, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var r doctor.Report
			if _, err := doctor.Walk(t.Context(), "zh", time.Minute, ways[0].Hops, r.Add); err != nil {
				t.Fatal(err)
			}
			if r.Finding == nil {
				r.Finding = new(doctor.Finding)
			}
			if tc.want == doctor.NoRights && len(tc.refused) > 0 && r.Finding.Seen != "services is forbidden" {
				t.Errorf("%s: the API server's words are lost: %s", tc.reason, r.Finding.Seen)
			}
			if says := "there is no namespace plugins"; name == "no namespace" && r.Finding.Seen != says {
				t.Errorf("%s: %s, want %q", tc.reason, r.Finding.Seen, says)
			}
			if r.Finding.Code != tc.want || strings.Join(r.Unseen, " ") != tc.unseen {
				t.Errorf("%s: %+v, unseen %s, want %s, %s", tc.reason, r.Finding, r.Unseen, tc.want, tc.unseen)
			}
			if at := ways[0].Endpoints(); tc.want == "" && (len(at) != 1 || at[0].Address != "10.0.0.1:7000" || at[0].Plugin != "zh") {
				t.Errorf("%s: endpoints %+v", tc.reason, at)
			}
			if (ways[0].Away == "") != tc.in {
				t.Errorf("%s: away %q", tc.reason, ways[0].Away)
			}
		})
	}
}

// TestAll finds the plugins of the namespaces that the host looks into.
func TestAll(t *testing.T) {
	s := &server{answers: healthy()}
	s.answers["GET /api/v1/services"] = `{"items": [{"metadata": {"name": "zh", "namespace": "plugins", "labels": {"reattach.dev/plugin": ""}}},
		{"metadata": {"name": "web", "namespace": "plugins"}}, {"metadata": {"name": "off", "namespace": "a", "labels": {"reattach.dev/plugin": "off"}}},
		{"metadata": {"name": "en", "namespace": "b", "labels": {"reattach.dev/plugin": "true"}}}]}`
	ways, err := s.start(t, true).Ways(t.Context(), doctor.Question{}, "", []string{"*"})
	if err != nil || len(ways) != 2 || ways[0].Target != "service/zh -n plugins" || ways[0].Plugin != "zh" || ways[1].Plugin != "en.b" {
		t.Errorf("%+v, %v", ways, err)
	}
}

// TestUnmade asks what makes pods, of each sort, why there are none.
func TestUnmade(t *testing.T) {
	const template = `"template": {"metadata": {"labels": {"app": "zh"}}}`
	cases := map[string]struct{ path, items, want string }{
		"Deployment":       {"/apis/apps/v1/namespaces/plugins/deployments", `{"metadata": {"name": "a"}, "spec": {"replicas": 0, ` + template + `}}`, "Deployment a makes such pods, and is scaled down to 0 replicas"},
		"StatefulSet":      {"/apis/apps/v1/namespaces/plugins/statefulsets", `{"metadata": {"name": "a"}, "spec": {"replicas": 1, ` + template + `}}`, "StatefulSet a makes such pods, and has none: its events say why"},
		"DaemonSet":        {"/apis/apps/v1/namespaces/plugins/daemonsets", `{"metadata": {"name": "a"}, "spec": {` + template + `}, "status": {"desiredNumberScheduled": 0}}`, "DaemonSet a makes such pods, and no node is one that it wants"},
		"ReplicaSet":       {"/apis/apps/v1/namespaces/plugins/replicasets", `{"metadata": {"name": "a"}, "spec": {"replicas": 1, ` + template + `}, "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]}}`, "ReplicaSet a makes such pods, and may not: exceeded quota"},
		"of a Deployment":  {"/apis/apps/v1/namespaces/plugins/replicasets", `{"metadata": {"name": "a", "ownerReferences": [{"kind": "Deployment", "name": "b"}]}, "spec": {"replicas": 0, ` + template + `}}`, ""},
		"Job":              {"/apis/batch/v1/namespaces/plugins/jobs", `{"metadata": {"name": "a"}, "spec": {"suspend": true, ` + template + `}}`, "Job a makes such pods, and is suspended"},
		"Job that is done": {"/apis/batch/v1/namespaces/plugins/jobs", `{"metadata": {"name": "a"}, "spec": {` + template + `}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}`, "Job a makes such pods, and has completed"},
		"of a CronJob":     {"/apis/batch/v1/namespaces/plugins/jobs", `{"metadata": {"name": "a", "ownerReferences": [{"kind": "CronJob", "name": "b"}]}, "spec": {` + template + `}, "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too often"}]}}`, "Job a makes such pods, and has failed: too often"},
		"of other pods":    {"/apis/apps/v1/namespaces/plugins/deployments", `{"metadata": {"name": "a"}, "spec": {"replicas": 0}}`, ""},
		"nothing is known": {"/nowhere", `{}`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: healthy()}
			s.answers["GET /api/v1/namespaces/plugins/pods"] = `{"items": []}`
			s.answers["GET "+tc.path] = `{"items": [` + tc.items + `]}`
			ways, err := s.start(t, false).Ways(t.Context(), doctor.Question{Service: "zh", Program: "basic"}, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			found, err := doctor.Walk(t.Context(), "zh", time.Minute, ways[0].Hops, func(doctor.Step) {})
			want := "service zh selects app=zh: no pod has these labels"
			if tc.want != "" {
				want += "; " + tc.want
			}
			if err != nil || found == nil || found.Code != doctor.NoPods || found.Seen != want {
				t.Errorf("%+v, %v, want %q", found, err, want)
			}
		})
	}
}

// TestJob runs the program in a pod like the host's, and leaves no Job.
func TestJob(t *testing.T) {
	const jobs = "/apis/batch/v1/namespaces/plugins/jobs"
	pod := func(status string) string {
		return fmt.Sprintf(`{"items": [{"metadata": {"name": "basic-doctor-x-y"}, "status": %s}]}`, status)
	}
	cases := map[string]struct {
		reason, pods, want string
		code               doctor.Code
		arguments          bool // were not taken
	}{
		"runs":     {"its log is the answer", pod(`{"phase": "Failed"}`), `{"ok": false}`, "", false},
		"finds":    {"it has exited as doctor does", pod(`{"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}`), `{"ok": false}`, "", false},
		"refuses":  {"its arguments are wrong", pod(`{"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 2}}}]}`), "", "", true},
		"no image": {"nor has the host one", pod(`{"phase": "Pending", "containerStatuses": [{"name": "basic", "state": {"waiting": {"reason": "ErrImagePull"}}}]}`), "", doctor.NoImage, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := &server{answers: healthy()}
			s.answers["POST "+jobs] = `{"metadata": {"name": "basic-doctor-x"}}`
			s.answers["GET /api/v1/namespaces/plugins/pods"] = tc.pods
			s.answers["GET /api/v1/namespaces/plugins/pods/basic-doctor-x-y/log"] = `{"ok": false}`
			s.answers["DELETE "+jobs+"/basic-doctor-x"] = `{}`
			raw, err := s.start(t, false).Inside(t.Context(), doctor.Question{Program: "basic"}, []string{"doctor", "-o", "json"})
			found, _ := errors.AsType[*doctor.Finding](err)
			if string(raw) != tc.want || tc.code == "" && (err != nil) != tc.arguments || tc.arguments != errors.Is(err, doctor.ErrArguments) || tc.code != "" && (found == nil || found.Code != tc.code) {
				t.Errorf("%s: %s, %v", tc.reason, raw, err)
			}
			var made job
			if err := json.Unmarshal([]byte(s.sent["POST "+jobs]), &made); err != nil {
				t.Fatal(err)
			}
			spec := made.Spec.Template.Spec
			if len(spec.Containers) != 1 || len(spec.InitContainers) != 0 {
				t.Fatalf("containers %+v, %+v", spec.InitContainers, spec.Containers)
			}
			c := spec.Containers[0]
			if c.Image != "basic:1" || strings.Join(c.Args, " ") != "doctor -o json" || c.ReadinessProbe != nil || len(c.Env) != 2 || c.Env[1].Value != "off" ||
				spec.ServiceAccountName != "basic" || len(spec.ReadinessGates) != 1 || made.Spec.Template.Labels["app"] != "basic" || spec.RestartPolicy != "Never" {
				t.Errorf("the pod is %+v", made.Spec.Template)
			}
			deleted := func(asked string) bool {
				return strings.HasPrefix(asked, "DELETE "+jobs+"/basic-doctor-x?propagationPolicy=Background")
			}
			if !slices.ContainsFunc(s.asked, deleted) {
				t.Errorf("the Job was left behind: %q", s.asked)
			}
		})
	}
}

// TestNoServer has nobody answer.
func TestNoServer(t *testing.T) {
	web := httptest.NewServer(nil)
	web.Close()
	c, err := NewCluster(&rest.Config{Host: web.URL, Transport: &http.Transport{DisableKeepAlives: true}}, "plugins", true)
	if err != nil {
		t.Fatal(err)
	}
	ways, err := c.Ways(t.Context(), doctor.Question{Service: "zh"}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := doctor.Walk(t.Context(), "zh", time.Minute, ways[0].Hops, func(doctor.Step) {})
	if err != nil || found == nil || found.Code != doctor.NoCluster {
		t.Errorf("%+v, %v", found, err)
	}
}
