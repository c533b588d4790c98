// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

// TestHops follows a call over gRPC on the longest way that there is: a host that starts
// attach as its plugin, the network, expose, and an executable behind that. All are in one
// trace, each beneath the one before.
func TestHops(t *testing.T) {
	r := receive(t)
	list := kit.Addresses(t, 2)
	env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + r.http, "OTEL_BSP_SCHEDULE_DELAY=50", "BASIC_PLUGIN=hello"}
	program(t, "basic", append(env, "PLUGIN_NAME=greeter", "OTEL_SERVICE_NAME=the-store", "BASIC_OTEL_SERVICE_NAME=the-relay"),
		"expose", "--listen", list[0], "--cookie", "BASIC_PLUGIN=hello", "--", filepath.Join(bin, "greeter-en.po"))
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "basic"), filepath.Join(dir, "greeter.po")); err != nil {
		t.Fatal(err)
	}
	api := "http://" + list[1]
	program(t, "basic", append(env, "PLUGIN_DIR="+dir, "BASIC_LISTEN="+list[1], "CONTRACT_VERSIONS=2", "BASIC_TARGET=greeter="+list[0],
		"LOG_LEVEL=warn"), "serve")
	kit.Eventually(t, patience, func() error { return has(api, `reattach_endpoints{plugin="greeter",state="READY"} 1`) })
	if answer := greet(api); answer != `200 {"result":"Hello Ada"}` {
		t.Fatal(answer)
	}
	const method = "reattach.commons.v1.Greeter/Greet"
	way := []string{
		"basic greeter/Greet Internal", "basic " + method + " Client",
		"basic-attach " + method + " Internal", "basic-attach " + method + " Client",
		"the-relay " + method + " Server", "the-store " + method + " Server",
	}
	kit.Eventually(t, patience, func() error {
		if all := r.of(traceID); len(all) != len(way) {
			return fmt.Errorf("want %d spans, got %d:\n%s", len(way), len(all), told(all))
		}
		return nil
	})
	by := make(map[string]span)
	for _, s := range r.of(traceID) {
		by[s.service+" "+s.Name()+" "+s.Kind().String()] = s
	}
	t.Log("\n" + told(r.of(traceID)))
	parent := callerID
	for _, hop := range way {
		s, ok := by[hop]
		if !ok {
			t.Fatalf("there is no span %s", hop)
		}
		if got := s.ParentSpanID().String(); got != parent {
			t.Errorf("%s is beneath %s, want %s", hop, got, parent)
		}
		parent = s.SpanID().String()
	}
}
