// SPDX-License-Identifier: MPL-2.0

package rendezvous_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// FuzzTable puts values under keys that the other side chooses. The table has the last
// value of each key, and a bounded number of them.
func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 1, 2}, uint8(0))
	f.Add([]byte{3, 4, 3, 5}, uint8(2))
	f.Fuzz(func(t *testing.T, keys []byte, limit uint8) {
		dropped := 0
		table := rendezvous.New[byte](rendezvous.Options[int]{
			Keep: time.Hour, Replace: true, Limit: int(limit), Dropped: func(int) { dropped++ },
		})
		defer table.Close()
		last := map[byte]int{}
		for i, key := range keys {
			last[key] = i
			table.Put(key, i)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		taken := 0
		for key, want := range last {
			got, err := table.Take(ended, key)
			if err == nil {
				taken++
			}
			if err == nil && got != want || err != nil && dropped == 0 {
				t.Fatalf("key %d: %d, %v, want %d", key, got, err, want)
			}
			if again, err := table.Take(ended, key); err == nil {
				t.Fatalf("key %d comes twice, with %d", key, again)
			}
		}
		if limit > 0 && taken > int(limit) || dropped == 0 && taken != len(last) {
			t.Fatalf("%d of %d values were kept, and %d dropped, with the limit %d", taken, len(last), dropped, limit)
		}
	})
}
