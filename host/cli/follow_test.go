// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestFollowingOutlivesTheDaemon holds that --watch and --follow go on with a daemon that was
// away, and say so once.
func TestFollowingOutlivesTheDaemon(t *testing.T) {
	var lives atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plugins := fmt.Sprintf(`{"plugins":[{"name":"life%d","endpoints":[{"id":"a","state":"READY","since":%q}]}],"problems":[]}`,
			lives.Load(), time.Unix(int64(lives.Load()), 0).UTC().Format(time.RFC3339))
		switch life := lives.Load(); {
		case r.URL.Path != "/api/v1/events":
			_, _ = fmt.Fprint(w, plugins)
		case life == 1, life == 2: // it is away
			lives.Add(1)
			http.Error(w, "away", http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintf(w, "event: plugins\ndata: %s\n\n", plugins)
			w.(http.Flusher).Flush()
			if life == 0 {
				lives.Store(1)
				return // and the stream ends
			}
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	for _, command := range []string{"plugins --watch", "events --follow"} {
		lives.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var shown, stderr strings.Builder
		code := basic().run(ctx, append(strings.Fields(command), "--server", server.URL), writerFunc(func(p []byte) (int, error) {
			if shown.Write(p); strings.Contains(shown.String(), "life3") {
				cancel()
			}
			return len(p), nil
		}), &stderr)
		cancel()
		const again = "; it is asked again until it answers\n"
		want := fmt.Sprintf("basic: the daemon at %s ended the stream of events%s", server.URL, again) + // once for each reason
			"basic: the server answered 503 Service Unavailable, and not as a daemon does" + again
		if code != exitOK || !strings.Contains(shown.String(), "life3") || stderr.String() != want {
			t.Errorf("%s: code %d\n%s\n%s, want\n%s", command, code, &shown, &stderr, want)
		}
	}
}

// TestFollowingKeepsOtherErrors: what is not about reaching the daemon ends it, and so does a
// daemon that never was there.
func TestFollowingKeepsOtherErrors(t *testing.T) {
	for _, tc := range []struct {
		reached bool
		err     error
	}{{true, errEnded}, {true, failf(exitUsage, "no token")}, {true, failf(exitUnreachable, "not JSON")}, {false, away("nobody")}, {true, nil}} {
		p := &patient{pause: func(context.Context, time.Duration) error {
			t.Errorf("%v: it waits", tc.err)
			return context.Canceled
		}}
		err := p.follow(t.Context(), func(reached func()) error {
			if tc.reached {
				reached()
			}
			return tc.err
		})
		if !errors.Is(err, tc.err) {
			t.Errorf("got %v, want %v", err, tc.err)
		}
	}
}

// TestFollowingPausesLonger holds that a daemon which stays away is asked less and less often,
// and as soon again as ever after it was there.
func TestFollowingPausesLonger(t *testing.T) {
	var pauses []time.Duration
	p := &patient{to: io.Discard, pause: func(_ context.Context, long time.Duration) error {
		pauses = append(pauses, long)
		if len(pauses) == 9 {
			return context.Canceled
		}
		return nil
	}}
	calls := 0
	err := p.follow(t.Context(), func(reached func()) error {
		if calls++; calls == 1 || calls == 8 {
			reached()
		}
		return away("it is away")
	})
	const s = time.Second
	if want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, s, 2 * s}; err != nil || !slices.Equal(pauses, want) {
		t.Errorf("got %v, %v, want %v", pauses, err, want)
	}
}
