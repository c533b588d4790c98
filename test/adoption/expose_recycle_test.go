// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestExposeRecycles replaces the process for each of the reasons that there are; hosts that
// come again find another one, and no call was cut off.
func TestExposeRecycles(t *testing.T) {
	cases := map[string]struct {
		after string
		calls int
	}{
		"calls":              {"20", 20},
		"age":                {"1s", 1},
		"memory":             {"1MiB", 1}, // which each process has when it starts
		"whichever is first": {"1000000,24h,1MiB", 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startExpose(t, upstream, "grpc", "--recycle-after", tc.after)
			h := startHost(t, ours)
			h.Open(e.client("a", ours))
			pid := h.pid("a")
			for range tc.calls {
				h.Must("Put", hostapi.Entry{Name: "a", Key: "k", Value: []byte("v")}, none)
			}
			kit.Eventually(t, "the process is replaced", func() bool { return gone(pid) })
			again := startHost(t, ours)
			again.Open(e.client("a", ours))
			if now := again.pid("a"); now == pid || !e.Running() {
				t.Errorf("the process is %d still", now)
			}
			counted(t, "replaced", 1)
		})
	}
}

// TestExposeShares has a host make two sessions, and another one make one.
func TestExposeShares(t *testing.T) {
	for share, want := range map[string]struct{ sameHost, otherHost bool }{
		"all": {true, true}, "host": {true, false}, "session": {false, false},
	} {
		t.Run(share, func(t *testing.T) {
			t.Parallel()
			e := startExpose(t, upstream, "grpc", "--share", share)
			one, other := startHost(t, ours), startHost(t, ours)
			one.Open(e.client("a", ours))
			one.Open(e.client("b", ours))
			other.Open(e.client("a", ours))
			a, b, c := one.pid("a"), one.pid("b"), other.pid("a")
			if (a == b) != want.sameHost || (a == c) != want.otherHost || (b == c) != want.otherHost {
				t.Errorf("the sessions of one host have the processes %d and %d, that of another one has %d", a, b, c)
			}
			for _, host := range []*hostProc{one, other} {
				host.Must("Kill", hostapi.Named{Name: "a"}, none)
			}
			if share == "session" {
				kit.Eventually(t, "a process ends with its session", func() bool { return gone(a) && gone(c) })
			}
			if gone(b) {
				t.Error("a process has ended whose session has not")
			}
		})
	}
}
