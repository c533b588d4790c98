// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

// logText is a log that is read while others write.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// TestMisspeltReplay has a method declared that the plugin does not have: its problems say
// so, and the log does once, however many endpoints it has.
func TestMisspeltReplay(t *testing.T) {
	_, list, _ := serveRememberers(t, ";replay=Gret;replay=Hi")
	var log logText
	o := withKind(options(list))
	o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
	d, _ := start(t, o)
	const want = "replay: there is no method Gret: did you mean Greet?"
	eventually(t, func() error {
		p, _ := d.Plugin("g")
		for _, e := range p.Endpoints {
			if e.State.String() != "READY" {
				return fmt.Errorf("%s is %s", e.ID, e.State)
			}
		}
		if diff := cmp.Diff([]string{want}, p.Problems); diff != "" || len(p.Endpoints) != 3 {
			return fmt.Errorf("%d endpoints, problems (-want +got)\n%s", len(p.Endpoints), diff)
		}
		return nil
	})
	if n := log.count(want); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
	if diff := cmp.Diff([]string{want}, d.Found().Plugins[0].Problems); diff != "" {
		t.Errorf("all plugins (-want +got)\n%s", diff)
	}
}
