// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// source are the endings of files that say their licence at the top.
var source = map[string]bool{".go": true, ".proto": true, ".sh": true, ".js": true, ".css": true}

func TestLicences(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git clone: %v", err)
	}
	looked := 0
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if !source[filepath.Ext(name)] {
			continue
		}
		looked++
		head := read(t, name)
		if !strings.Contains(head[:min(len(head), 200)], "SPDX-License-Identifier: MPL-2.0") {
			t.Errorf("%s does not say its licence at the top", name)
		}
	}
	if looked == 0 {
		t.Error("no source file was found")
	}
}
