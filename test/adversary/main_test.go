// SPDX-License-Identifier: MPL-2.0

// Package adversary attacks the host and plugins from outside: real binaries, real
// sockets, and peers that send what no honest one does. Each case states what the
// attack may cost at most, measures it, and shows that an honest peer is served
// meanwhile. docs/bounds.md says where the bounds come from.
package adversary

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

const (
	// patience is how long a test waits for what ought to take moments.
	patience = 30 * time.Second
	// promptly bounds how long an honest peer waits beside an attack. It is half of
	// PLUGIN_HANDSHAKE_TIMEOUT, ATTACH_TIMEOUT and the API's deadline of a write: to be
	// served within it, nobody can have waited for one of those to end the attack.
	promptly = 5 * time.Second
)

// bin is where the binaries are, set once before any test runs.
var bin string

func TestMain(m *testing.M) {
	if order := os.Getenv(attackVariable); order != "" {
		os.Exit(attack(order)) // This process is the attacker.
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "reattach-adversary")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := kit.Alone(); err != nil {
		return 0, err
	}
	if err := kit.Build(dir, map[string]string{"basic": "../../host", "zh.po": "../../pluginzh", "peer.po": "./peer"}); err != nil {
		return 0, err
	}
	code := m.Run()
	sumUp()
	return code, nil
}

// eventually waits until condition holds, and fails with what it last said.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	kit.Eventually(t, patience, condition)
}
