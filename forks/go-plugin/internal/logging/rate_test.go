// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package logging

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestRatedLogger logs floods in every way, and looks at how much of it is left.
func TestRatedLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := NewRated(hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: &log}))
		flood := func() {
			yamux := logger.Named("yamux").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
			for range 1000 {
				logger.Debug("attached")
				logger.With("peer", "x").Debug("ended")
				yamux.Print("[WARN] yamux: frame for missing stream")
				logger.Trace("not logged")
			}
			logger.Warn("host refused")
		}
		flood()
		if got := strings.Count(log.String(), "\n"); got != peerLinesPerSecond+1 {
			t.Errorf("%d lines, want %d\n%s", got, peerLinesPerSecond+1, &log)
		}
		if !strings.Contains(log.String(), "host refused") {
			t.Errorf("lines of another level have taken the place of a warning\n%s", &log)
		}
		log.Reset()
		time.Sleep(time.Second)
		flood()
		if want := "lines=2980"; !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q of the second before\n%s", want, &log)
		}
	})
}
