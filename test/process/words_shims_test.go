// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWordsOfShims has a plugin whose every text is made to steer a terminal exposed,
// tested, and attached to, and reads what those commands print.
func TestWordsOfShims(t *testing.T) {
	dir := hostileDir(t)
	p := startPlugin(t, filepath.Join(dir, "hostile.po"))
	tested := command(t, []string{"conform", p.address()})
	checkWords(t, "conform", tested.Stdout, maxRow)
	checkLog(t, "conform (log)", tested.Stderr)
	for name, tc := range map[string]struct {
		args  []string
		ready string // on stderr or stdout
		env   []string
	}{
		"expose": {
			args: []string{"expose", "--cookie", "BASIC_PLUGIN=hello", "--versions", "1,2", "--listen", "127.0.0.1:0", "--", filepath.Join(dir, "hostile.po")},
			env:  []string{"LOG_LEVEL=trace"}, ready: `(child serves)`,
		},
		"attach": {
			args: []string{"attach", p.address()},
			env:  []string{"LOG_LEVEL=trace", "BASIC_PLUGIN=hello", "PLUGIN_PROTOCOL_VERSIONS=1,2"}, ready: `(1\|\d\|unix)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(bin, "basic"), tc.args...)
			cmd.Env = environment(tc.env...)
			said := &watched{seen: make(chan string, 1), what: regexp.MustCompile(tc.ready)}
			var other bytes.Buffer
			cmd.Stdout, cmd.Stderr = io.Writer(said), io.Writer(&other)
			if name == "expose" {
				cmd.Stdout, cmd.Stderr = &other, said
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-said.seen:
				_ = cmd.Process.Signal(syscall.SIGTERM)
				<-ended
			case err := <-ended:
				t.Fatalf("it ended: %v\n%s%s", err, &said.all, &other)
			case <-time.After(patience):
				_ = cmd.Process.Kill()
				<-ended
				t.Fatalf("it does not say %s\n%s%s", tc.ready, &said.all, &other)
			}
			for _, text := range []string{said.all.String(), other.String()} {
				if name == "expose" {
					// What its executable logs is on the same stream, line by line as it stands.
					text = regexp.MustCompile(`(?m)^2026-01-01`).ReplaceAllString(text, "its own:")
				}
				checkLog(t, name, text)
			}
			if !strings.Contains(said.all.String()+other.String(), "hostile") && name == "expose" {
				t.Errorf("%s does not name its plugin: %s", name, &said.all)
			}
		})
	}
}
