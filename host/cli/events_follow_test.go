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
