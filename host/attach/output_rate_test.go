// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestRatedOutput floods the log as a child can, by its own log and by what it prints.
func TestRatedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		output := newRatedOutput(hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info}))
		line := strings.Repeat("x", 1000)
		flood := func() {
			prints := newLineLogger(output.Named("plugin"), "stdout")
			for range 10 * childLogRate / len(line) {
				output.Named("plugin").Log(hclog.Error, line)
				output.Named("plugin").Log(hclog.Debug, line) // which is not logged, and costs nothing
				_, _ = prints.Write([]byte(line + "\n"))
			}
		}
		flood()
		if got := log.Len(); got > 2*childLogRate || got < childLogRate/2 {
			t.Errorf("%d bytes are logged in a second, want about %d", got, childLogRate)
		}
		output.Info("of its own")
		if !strings.Contains(log.String(), "of its own") {
			t.Error("what the host says is dropped as well")
		}
		log.Reset()
		time.Sleep(time.Second)
		flood()
		if !strings.Contains(log.String(), "lines left out") {
			t.Errorf("what was dropped is not told: %.300s", &log)
		}
	})
}
