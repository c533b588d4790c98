// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"
)

// TestNothingIsLostBeforeFollowing holds that what is followed begins with the list that
// the stream itself begins with, and that an event which led to what is in the list is not
// shown again.
func TestNothingIsLostBeforeFollowing(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	change := func(at time.Time, endpoint, from, to string) string {
		return fmt.Sprintf("event: change\ndata: {\"time\":%q,\"type\":\"state\",\"plugin\":\"zh\",\"endpoint\":%q,\"from\":%q,\"to\":%q}\n\n",
			at.Format(time.RFC3339Nano), endpoint, from, to)
	}
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/events" {
			t.Errorf("%s is asked as well: what happens between the two is lost", r.URL.Path)
			_, _ = fmt.Fprint(w, `{"plugins":[],"problems":[]}`)
			return
		}
		_, _ = fmt.Fprintf(w, "event: plugins\ndata: {\"plugins\":[{\"name\":\"zh\",\"kinds\":[%s],\"endpoints\":[{\"id\":\"zh@a\",\"state\":\"READY\",\"since\":%q}]}]}\n\n",
			strings.TrimSuffix(strings.Repeat(`"a kind",`, maxEvent/8), ","), began.Format(time.RFC3339Nano))
		_, _ = fmt.Fprint(w, change(began, "zh@a", "CONNECTING", "READY"), change(began.Add(time.Second), "zh@a", "READY", "IDLE"))
		// What was missed is in another list, and what was shown is not said again.
		_, _ = fmt.Fprintf(w, "event: plugins\ndata: {\"plugins\":[{\"name\":\"zh\",\"endpoints\":[{\"id\":\"zh@a\",\"state\":\"READY\",\"since\":%q}]},{\"name\":\"en\",\"endpoints\":[{\"id\":\"en@c\",\"state\":\"IDLE\",\"since\":%q}]}]}\n\n",
			began.Add(2*time.Second).Format(time.RFC3339Nano), began.Format(time.RFC3339Nano))
		_, _ = fmt.Fprint(w, change(began.Add(2*time.Second), "zh@a", "IDLE", "READY"), change(began, "zh@b", "IDLE", "CONNECTING"))
		w.(http.Flusher).Flush()
		<-served
	}))
	defer server.Close()
	defer close(served)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var shown, stderr strings.Builder
	code := basic().run(ctx, []string{"events", "-f", "-o", "json", "--server", server.URL}, writerFunc(func(p []byte) (int, error) {
		if shown.Write(p); strings.Contains(shown.String(), "zh@b") {
			cancel()
		}
		return len(p), nil
	}), &stderr)
	if lines := strings.Count(shown.String(), "\n"); code != exitOK || lines != 5 {
		t.Errorf("code %d, %d lines, want 5\n%s\n%s", code, lines, &stderr, &shown)
	}
}

// TestFollowingForgets holds that following costs no memory for endpoints that have gone, and
// that what was kept is written once.
func TestFollowingForgets(t *testing.T) {
	var shown strings.Builder
	log := &eventLog{to: &eventWriter{to: &shown, json: true}}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	kept := []daemon.Past{
		{Event: daemon.Event{Time: began, Type: fleet.StateChanged, Plugin: "zh", Endpoint: "zh@a", To: conn.TransientFailure, Cause: "refused"}, Times: 3, Until: began.Add(time.Minute)},
		{Event: daemon.Event{Time: began.Add(2 * time.Minute), Type: fleet.PluginReady, Plugin: "zh"}},
	}
	now := lookBack{found{Plugins: []daemon.Plugin{{Name: "zh", Endpoints: []daemon.Endpoint{
		{ID: "zh@a", State: conn.TransientFailure, Since: began.Add(time.Minute)}, {ID: "zh@b", State: conn.Ready, Since: began.Add(2 * time.Minute)},
	}}}}, kept}
	for range 2 {
		if err := log.list(now); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(shown.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want the two that are kept and the state of zh@b\n%s", lines, &shown)
	}
	for i := range 10_000 {
		e := daemon.Event{Time: began.Add(time.Hour + time.Duration(i)), Type: fleet.Found, Plugin: "zh", Endpoint: fmt.Sprint("zh@", i)}
		for _, e.Type = range []fleet.EventType{fleet.Found, fleet.Withdrawn} {
			if err := log.show(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(log.listed) > 3 {
		t.Errorf("%d subjects are remembered, of which three are there", len(log.listed))
	}
	if lines := strings.Count(shown.String(), "\n"); lines != 20_003 {
		t.Errorf("%d lines: each event is one", lines)
	}
}
