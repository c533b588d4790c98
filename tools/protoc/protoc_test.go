// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedIsUpToDate holds that what is committed of .proto files is what would be
// written: each script runs in a copy of what it reads.
func TestGeneratedIsUpToDate(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"commons/commonspb", "forks/go-plugin/internal/pluginpb", "test/interop/peer/store/storepb"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			copied := t.TempDir()
			if err := os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "tools"), filepath.Join(copied, "tools")); err != nil {
				t.Fatal(err)
			}
			written, err := filepath.Glob(filepath.Join(copied, dir, "*.pb.go"))
			if err != nil || len(written) == 0 {
				t.Fatalf("%v, %v", written, err)
			}
			for _, path := range written {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.CommandContext(t.Context(), "sh", filepath.Join(copied, dir, "generate.sh")).CombinedOutput(); err != nil {
				t.Fatalf("generate.sh: %v\n%s", err, out)
			}
			for _, path := range written {
				if read(t, path) != read(t, filepath.Join(root, dir, filepath.Base(path))) {
					t.Errorf("%s is not up to date: run make generate", filepath.Join(dir, filepath.Base(path)))
				}
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(raw)
}

// TestRefused: what it does not have is said.
func TestRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"--descriptor_set is not known":     {"--descriptor_set", "x.proto"},
		"want files and a generator":        {"--go_out=."},
		"as in --go_out":                    {"x.proto"},
		"protoc-gen-none":                   {"-I", "../../commons/commonspb", "--none_out=.", "commons.proto"},
		"no-such.proto":                     {"--go_out=.", "no-such.proto"},
		"-descriptor_out=x is not known to": {"-descriptor_out=x", "x.proto"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
