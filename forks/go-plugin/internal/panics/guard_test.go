// SPDX-License-Identifier: MPL-2.0

package panics_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/panics"
)

// Callers can make a method panic as often as they like: the log stays bounded,
// the count is right.
func TestPanicLogIsBounded(t *testing.T) {
	var log bytes.Buffer
	guard := panics.NewGuard()
	report := guard.ReportTo(hclog.New(&hclog.LoggerOptions{Output: &log}))
	const times, perSecond, stack = 10000, 5, 16 << 10 // as docs/bounds.md says
	began := time.Now()
	for range times {
		report("Plugin.Do", strings.Repeat("no more ", 1<<10))
	}
	seconds := 1 + int(time.Since(began)/time.Second)
	if most := (seconds + 1) * perSecond * (stack + 2<<10); len(log.String()) > most {
		t.Errorf("%d bytes were logged in %d s, at most %d are wanted", len(log.String()), seconds, most)
	}
	if guard.Count() != times {
		t.Errorf("%d panics were counted", guard.Count())
	}
}
