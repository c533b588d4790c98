// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
)

// walk goes the way to an endpoint as a host of the contract does.
func walk(ctx context.Context, name string, e daemon.Endpoint, tell func(doctor.Step)) error {
	_, err := doctor.Address{
		Address: e.Address, ServerName: name, Timeout: patience,
		Contract: attach.Contract{Handshake: commons.Handshake(),
			Versions: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{}})},
	}.Walk(ctx, tell)
	return err
}

// probePath is the path of a probe of the only endpoint of the plugin.
func (h *host) probePath() string {
	h.t.Helper()
	_, _, body := h.do(h.request(http.MethodGet, "/api/v1/plugins/greeter", ""))
	var p daemon.Plugin
	if err := json.Unmarshal([]byte(body), &p); err != nil || len(p.Endpoints) != 1 {
		h.t.Fatalf("%s: %v", body, err)
	}
	return "/api/v1/plugins/greeter/probe?endpoint=" + url.QueryEscape(p.Endpoints[0].ID)
}

// TestProbe walks to a real plugin, while it serves and after it has ended.
func TestProbe(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.Probe, o.NoCalls = walk, true })
	path := h.probePath()
	probe := func() (steps []doctor.Step) {
		t.Helper()
		status, _, body := h.do(h.request(http.MethodPost, path, ""))
		var answer struct{ Steps []doctor.Step }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return answer.Steps
	}
	steps := probe()
	if len(steps) != len(doctor.AddressHops()) {
		t.Errorf("%d steps to a plugin that serves: %+v", len(steps), steps)
	}
	for i, s := range steps {
		if s.Hop != doctor.AddressHops()[i] || s.Outcome != doctor.OK || s.Seen == "" {
			t.Errorf("step %d is %+v", i, s)
		}
	}
	h.unready()
	steps = probe()
	last := steps[len(steps)-1]
	if last.Hop != doctor.HopConnect || last.Outcome != doctor.Failed || last.Finding == nil || last.Finding.Code == "" || last.Finding.Do == "" {
		t.Errorf("the last step to a plugin that has ended is %+v", last)
	}
}

// TestProbeRefused: what cannot be walked, who may not, and how many at once.
func TestProbeRefused(t *testing.T) {
	token := tokenFile(t, "0123456789abcdef")
	entered, release := make(chan struct{}), make(chan struct{})
	h := start(t, func(o *api.Options, _ *daemon.Options) {
		o.TokenFile = token
		o.Probe = func(context.Context, string, daemon.Endpoint, func(doctor.Step)) error {
			entered <- struct{}{}
			<-release
			return nil
		}
	})
	path := h.probePath()
	ask := func(path, token string) (int, http.Header) {
		r := h.request(http.MethodPost, path, "")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		status, header, _ := h.do(r)
		return status, header
	}
	for _, tc := range []struct {
		path, token string
		want        int
	}{
		{path, "", http.StatusUnauthorized},
		{path, "0123456789abcdeF", http.StatusUnauthorized},
		{"/api/v1/plugins/nobody/probe?endpoint=x", "0123456789abcdef", http.StatusNotFound},
		{"/api/v1/plugins/greeter/probe?endpoint=x", "0123456789abcdef", http.StatusNotFound},
		{"/api/v1/plugins/greeter/probe", "0123456789abcdef", http.StatusNotFound},
	} {
		status, header := ask(tc.path, tc.token)
		if status != tc.want || (status == http.StatusUnauthorized) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s with %q: %d, %v", tc.path, tc.token, status, header)
		}
	}
	const places = 4
	answers := make(chan int, places)
	for range places {
		go func() {
			status, _ := ask(path, "0123456789abcdef")
			answers <- status
		}()
	}
	for range places {
		select {
		case <-entered:
		case <-time.After(patience):
			t.Fatal("a probe is not begun")
		}
	}
	if status, header := ask(path, "0123456789abcdef"); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("one probe too many: %d, %v", status, header)
	}
	close(release)
	for range places {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("a probe: %d", status)
		}
	}
}
