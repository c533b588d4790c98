// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/reattach/reattach/host/history"
)

// TestHistory holds that calls are in the history at once, on the side where they failed.
func TestHistory(t *testing.T) {
	h := start(t, nil)
	for _, args := range []string{`["Ada"]`, `["Ada"]`, `["nobody"]`, `[]`} { // the last is not sent
		h.do(h.request(http.MethodPost, greetPath, args))
	}
	want := history.Series{Calls: []uint32{3}, Failed: history.Failed{Plugin: []uint32{1}, Network: []uint32{}, Host: []uint32{}, Caller: []uint32{}}}
	times := cmpopts.IgnoreFields(history.Series{}, "P50", "P99")

	_, _, body := h.do(h.request(http.MethodGet, "/api/v1/history", ""))
	var all struct {
		StepSeconds int
		All         history.Series
		Plugins     []history.PluginSeries
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if diff := cmp.Diff([]history.PluginSeries{{Name: "greeter", Series: want}}, all.Plugins, times); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if all.StepSeconds != 30 || len(all.All.P99) != 1 || all.All.P99[0] <= 0 {
		t.Errorf("all together: %s", body)
	}

	_, _, body = h.do(h.request(http.MethodGet, "/api/v1/plugins/greeter/history", ""))
	var one history.PluginHistory
	if err := json.Unmarshal([]byte(body), &one); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	methods := []history.MethodSeries{{Kind: "greeter", Method: "Greet", Series: want}}
	if diff := cmp.Diff(methods, one.Methods, times); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
