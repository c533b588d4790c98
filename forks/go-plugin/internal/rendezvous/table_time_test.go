// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package rendezvous_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// TestTableKeeps puts values before anybody waits for them.
func TestTableKeeps(t *testing.T) {
	const keep = time.Minute
	cases := map[string]struct {
		reason  string
		options rendezvous.Options[string]
		play    func(*rendezvous.Table[int, string])
		want    map[int][]string // what is taken, one after the other
		dropped []string
	}{
		"once": {
			reason: "each value goes to one who takes it",
			play:   func(t *rendezvous.Table[int, string]) { t.Put(1, "a"); t.Put(2, "b") },
			want:   map[int][]string{1: {"a", ""}, 2: {"b", ""}},
		},
		"newest": {
			reason:  "a value replaces the older one, which is not dropped",
			options: rendezvous.Options[string]{Replace: true},
			play:    func(t *rendezvous.Table[int, string]) { t.Put(1, "old"); t.Put(1, "new") },
			want:    map[int][]string{1: {"new", ""}},
		},
		"first": {
			reason: "a value does not replace the older one unless that is wanted",
			play:   func(t *rendezvous.Table[int, string]) { t.Put(1, "old"); t.Put(1, "new") },
			want:   map[int][]string{1: {"old", ""}},
		},
		"not kept": {
			reason: "Deliver keeps nothing",
			play:   func(t *rendezvous.Table[int, string]) { t.Deliver(1, "a") },
			want:   map[int][]string{1: {""}},
		},
		"shared": {
			reason:  "a shared value stays until it is removed",
			options: rendezvous.Options[string]{Shared: true},
			play: func(t *rendezvous.Table[int, string]) {
				t.Put(1, "a")
				t.Put(2, "b")
				t.Remove(1, "another")
				t.Remove(2, "b")
			},
			want:    map[int][]string{1: {"a", "a"}, 2: {""}},
			dropped: []string{"a"}, // by Close
		},
		"expired": {
			reason: "nothing is kept for ever",
			play: func(t *rendezvous.Table[int, string]) {
				t.Put(1, "stale")
				time.Sleep(keep - time.Nanosecond)
				t.Put(2, "fresh")
				time.Sleep(time.Nanosecond)
			},
			want:    map[int][]string{1: {""}, 2: {"fresh"}},
			dropped: []string{"stale"},
		},
		"renewed": {
			reason:  "a value that replaced another has its own time",
			options: rendezvous.Options[string]{Replace: true},
			play: func(t *rendezvous.Table[int, string]) {
				t.Put(1, "old")
				time.Sleep(keep - time.Nanosecond)
				t.Put(1, "new")
				time.Sleep(keep - time.Nanosecond)
			},
			want: map[int][]string{1: {"new"}},
		},
		"limit": {
			reason:  "a peer that says more than anybody asks for costs so much and no more",
			options: rendezvous.Options[string]{Limit: 2, Replace: true},
			play: func(t *rendezvous.Table[int, string]) {
				t.Put(1, "a")
				t.Put(2, "b")
				t.Put(1, "c") // takes no further place
				t.Put(3, "d")
			},
			want:    map[int][]string{1: {"c"}, 2: {""}, 3: {"d"}},
			dropped: []string{"b"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dropped []string
				tc.options.Keep = keep
				tc.options.Dropped = func(s string) { dropped = append(dropped, s) }
				table := rendezvous.New[int](tc.options)
				tc.play(table)
				synctest.Wait()
				for key, want := range tc.want {
					for _, want := range want {
						if got := try(t, table, key); got != want {
							t.Errorf("%s: key %d gave %q, want %q", tc.reason, key, got, want)
						}
					}
				}
				table.Close()
				if !slices.Equal(dropped, tc.dropped) {
					t.Errorf("%s: dropped %q, want %q", tc.reason, dropped, tc.dropped)
				}
				time.Sleep(2 * keep) // No timer is left that drops anything again.
				if !slices.Equal(dropped, tc.dropped) {
					t.Errorf("%s: later dropped %q, want %q", tc.reason, dropped, tc.dropped)
				}
			})
		})
	}
}
