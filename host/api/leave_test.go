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
// sends its next call afterwards, and another one whose call is under way: both are answered,
// and each answer says that it is the last.
func TestLeaveOnKeptConnections(t *testing.T) {
	h := start(t, func(o *api.Options, _ *daemon.Options) { o.KeepUntilTold() })
	kept := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(kept.CloseIdleConnections)
	call := func(name string) (closes bool) {
		answer, err := kept.Do(h.request(http.MethodPost, greetPath, `["`+name+`"]`))
		if err != nil {
			t.Errorf("the call is lost: %v", err)
			return false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("the call got %d %s, %v", answer.StatusCode, body, err)
		}
		return answer.Close
	}
	if call("Ada") {
		t.Fatal("a connection is closed while nothing ends")
	}
	underWay := make(chan bool, 1)
	go func() { underWay <- call("slow") }()
	<-h.plugin.entered
	events := h.open()
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	for range events { // which ends once the server leaves
		continue
	}
	if !call("Ada") {
		t.Error("the connection stays open")
	}
	h.plugin.release <- struct{}{}
	if !<-underWay {
		t.Error("the connection of the call that was under way stays open")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
