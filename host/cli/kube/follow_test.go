// SPDX-License-Identifier: MPL-2.0

package kube

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster has one Service, ns/zh, and hands on the Events that are written.
func cluster(t *testing.T) (url string, written <-chan corev1.Event) {
	events, ended := make(chan corev1.Event, 16), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, status := "", http.StatusOK
		switch resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; {
		case r.Method == http.MethodPost:
			var e corev1.Event
			if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
				t.Error(err)
			}
			events <- e
			body = `{"apiVersion":"v1","kind":"Event"}`
		case r.URL.Query().Get("sendInitialEvents") != "": // as old servers do
			body, status = `{"apiVersion":"v1","kind":"Status","status":"Failure","code":422,"reason":"Invalid"}`, http.StatusUnprocessableEntity
		case r.URL.Query().Get("watch") != "":
			w.(http.Flusher).Flush()
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		case resource == "services":
			body = `{"apiVersion":"v1","kind":"ServiceList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"namespace":"ns","name":"zh","uid":"1"}}]}`
		default:
			body = `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[]}`
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(func() {
		close(ended)
		server.Close()
	})
	return server.URL, events
}

// TestFollow holds that what becomes of a plugin is an Event of its Service, and that
// following ends when it is told to.
func TestFollow(t *testing.T) {
	url, written := cluster(t)
	source, err := kubernetes.New(kubernetes.Options{
		Config:     &rest.Config{Host: url, Transport: &http.Transport{DisableKeepAlives: true}},
		Namespaces: []string{"ns"}, Instance: "basic-0", Logger: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions = commons.Handshake(), commons.Versions
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithSwitch(commons.SwitchGreeter))}
	pods := manual.New("pods")
	o.Sources = []discovery.Source{source, pods}
	o.Dialers = map[target.Placement]func(attach.Contract) (conn.Dialer, error){
		target.Network: func(attach.Contract) (conn.Dialer, error) { return manualdial.New(), nil },
	}
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	end := (&Finder{source: source}).Follow(d, registry)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()

	// Not before the Service is known: what is told of others is dropped.
	kit.Until(t, patience, "the Service is known", func() bool { _, known := d.Plugin("zh"); return known })
	address := "10.0.0.1:7000"
	pods.Update(target.Group{Key: "zh", Endpoints: []target.Endpoint{{
		ID: target.MakeID("zh", address), Plugin: "zh", Placement: target.Network, Address: address,
	}}})
	select {
	case e := <-written:
		if got := e.InvolvedObject.Name + " " + e.Reason + ": " + e.Message; got != "zh Attached: attached to "+address {
			t.Errorf("the Event says %q", got)
		}
	case <-time.After(patience):
		t.Error("no Event was written")
	}
	found, err := registry.Gather()
	if err != nil || len(found) != 1 || found[0].GetName() != "reattach_kubernetes_events_dropped_total" {
		t.Errorf("metrics %v, error %v", found, err)
	}
	end()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
