// SPDX-License-Identifier: MPL-2.0

package so

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzInspect is a file named *.so. What is not a Go plugin is refused with words, and
// is not loaded.
func FuzzInspect(f *testing.F) {
	const head = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, text := range []string{"", "#!/bin/sh\n", "\x1b]0;t\a", head, head + "\x03\x00\x3e\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 40), "\xff Go buildinf:" + strings.Repeat("\x00", 32)} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "x.so")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := inspect(path)
		if (err == nil) != (info != nil) {
			t.Fatalf("%v, %v", info, err)
		}
		if err != nil && (len(err.Error()) > 1<<10 || strings.ContainsAny(err.Error(), "\x1b\a\n")) {
			t.Fatalf("%q", err)
		}
		if err == nil && setting(info, "-buildmode") != "plugin" {
			t.Fatalf("%+v is taken", info)
		}
	})
}

// FuzzExplain is what the dynamic linker says. It is translated, or passed on as it is.
func FuzzExplain(f *testing.F) {
	for _, text := range []string{
		`plugin.Open("x"): plugin was built with a different version of package internal/goarch`, `plugin.Open("x"): plugin already loaded`,
		`plugin.Open("/tmp/x.so"): x.so: failed to map segment from shared object`, "dlopen: cannot open shared object file", "", "other",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		said := errors.New(text)
		err := explain(said, nil)
		if err == nil || err.Error() == "" && text != "" {
			t.Fatalf("%q is explained by nothing", text)
		}
		if errors.Is(err, said) && !strings.Contains(err.Error(), text) {
			t.Fatalf("%q became %q", text, err)
		}
		if possible := explain(said, []difference{{"Go", "go1", ""}}); !strings.HasPrefix(possible.Error(), err.Error()) || !strings.Contains(possible.Error(), "none") {
			t.Fatalf("%q became %q", text, possible)
		}
	})
}
