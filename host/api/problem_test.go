// SPDX-License-Identifier: MPL-2.0

package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// TestWhatMayHaveRunIsNotRetried holds that no status that gateways and clients
// repeat is given to a call that may have run, whatever it failed of.
func TestWhatMayHaveRunIsNotRetried(t *testing.T) {
	for reason := stub.ReasonLost; reason <= stub.ReasonCaller; reason++ {
		for _, ran := range []bool{false, true} {
			f := &stub.Fault{Reason: reason, Endpoint: "greeter@a", Method: "Greet", MayHaveRun: ran, Err: context.DeadlineExceeded}
			w := httptest.NewRecorder()
			writeProblem(w, problemOf(fmt.Errorf("greet: %w", f)))
			retries := w.Code == 503 && w.Header().Get("Retry-After") != ""
			vain := reason == stub.ReasonArguments || reason == stub.ReasonAnswer
			if retries == (ran || vain) || !retries && w.Code != 500 {
				t.Errorf("%v: %d, Retry-After %q", f, w.Code, w.Header().Get("Retry-After"))
			}
			if want := fmt.Sprintf(`"source":%q,"mayHaveRun":%v,"endpoint":"greeter@a"`, f.Source(), ran); !strings.Contains(w.Body.String(), want) {
				t.Errorf("%v: %s, want %s", f, w.Body, want)
			}
		}
	}
}

// TestPluginsStatusIsThePlugins holds that no code of a plugin passes for a fault.
func TestPluginsStatusIsThePlugins(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		p := problemOf(status.Error(code, "reattach: no endpoint took Greet; it was not sent"))
		if p.Status != 500 || p.Source != "plugin" || p.MayHaveRun != nil {
			t.Errorf("%v: %+v", code, p)
		}
	}
}

// TestNotCallable holds that a method which JSON cannot carry has a problem of its own.
func TestNotCallable(t *testing.T) {
	p := problemOf(fmt.Errorf("store.Watch %w: JSON cannot carry a chan int", daemon.ErrNotCallable))
	if p.Status != 422 || p.Type != "urn:reattach:not-callable" || p.Title == "" || p.Source != "host" {
		t.Errorf("%+v", p)
	}
}
