// SPDX-License-Identifier: MPL-2.0

package api_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// TestLeaveOnKeptConnections ends a server while a client has a connection on which it
// sends its next call afterwards: that one is answered, and the answer says that it is
// the last.
func TestLeaveOnKeptConnections(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.KeepUntilTold() })
	kept := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(kept.CloseIdleConnections)
	call := func() (closes bool) {
		t.Helper()
		answer, err := kept.Do(h.request(http.MethodPost, greetPath, `["Ada"]`))
		if err != nil {
			t.Fatalf("the call is lost: %v", err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("the call got %d %s, %v", answer.StatusCode, body, err)
		}
		return answer.Close
	}
	if call() {
		t.Fatal("a connection is closed while nothing ends")
	}
	events := h.open()
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	for range events { // which ends once the server leaves
		continue
	}
	if !call() {
		t.Error("the connection stays open")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
