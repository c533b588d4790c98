// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

// TestDeclared has methods named for which nothing would ever happen.
func TestDeclared(t *testing.T) {
	s := Settings{Replay: []string{"Confgure", "Watch", "Set"}, Idempotent: []string{"read", "Watch"}}
	unary := map[string]bool{"/a.A/Configure": true, "/a.A/Watch": false, "/a.A/Read": true, "/a.A/Set": false, "/b.B/Set": true}
	var log bytes.Buffer
	o := Options{Declared: s.Declared(), Logger: hclog.New(&hclog.LoggerOptions{Output: &log, DisableTime: true})}
	logProblems(&o, unary)
	logUnused(&o)
	want := []string{
		`[WARN]  what is declared of a method has no effect: problem="replay: there is no method Confgure: did you mean Configure?"`,
		`[WARN]  what is declared of a method has no effect: problem="replay: Watch is a stream, which cannot be replayed"`,
		`[WARN]  what is declared of a method has no effect: problem="idempotent: there is no method read: did you mean Read?"`,
		`[WARN]  what is declared of methods has no effect over net/rpc: option=replay methods=["Confgure", "Watch", "Set"]`,
		`[WARN]  what is declared of methods has no effect over net/rpc: option=idempotent methods=["read", "Watch"]`,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(log.String()), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
