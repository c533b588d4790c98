// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// layer gives the files of the only layer of an archive.
func layer(t *testing.T, archive string) map[string]string {
	t.Helper()
	for _, blob := range unpack(t, archive) {
		unzipped, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			continue
		}
		files := make(map[string]string)
		for r := tar.NewReader(unzipped); ; {
			h, err := r.Next()
			if err != nil {
				return files
			}
			content, _ := io.ReadAll(r)
			files[h.Name] = string(content)
		}
	}
	t.Fatalf("%s has no layer", archive)
	return nil
}

// own copies a file of this machine to where binaries are.
func own(t *testing.T, path string) (dir string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("this machine has no %s", path)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, runtime.GOARCH), content, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSharedObjects makes the two images of Dockerfile.so: of a program that is linked
// dynamically, with what it is linked with, and of a shared object, which nothing runs.
func TestSharedObjects(t *testing.T) {
	notice := filepath.Join(t.TempDir(), "NOTICE")
	if err := os.WriteFile(notice, []byte("licences of others"), 0o600); err != nil {
		t.Fatal(err)
	}
	const dockerfile = "../../Dockerfile.so"
	program := build{binaries: own(t, "/bin/sh"), notice: notice, name: "basic-so:1"}
	f, err := elf.Open(filepath.Join(program.binaries, runtime.GOARCH))
	if err != nil {
		t.Fatal(err)
	}
	loader := interpreter(f)
	_ = f.Close()
	out := filepath.Join(t.TempDir(), "out.tar")
	if _, err := run(program, dockerfile, "host", nil, out); err != nil {
		t.Fatal(err)
	}
	files := layer(t, out)
	names := strings.Join(slices.Sorted(maps.Keys(files)), " ")
	if files["basic"] == "" || files[loader[1:]] == "" || !strings.Contains(names, "/libc.so") || files["NOTICE"] == "" {
		t.Errorf("the host's image has %s", names)
	}
	if _, err := run(program, "../../Dockerfile.host", "", nil, out); err == nil || !strings.Contains(err.Error(), "not static") {
		t.Errorf("a program that is linked dynamically, without its libraries: %v", err)
	}
	if _, err := run(program, dockerfile, "object", nil, out); err == nil || !strings.Contains(err.Error(), "no shared object") {
		t.Errorf("a program in the place of a shared object: %v", err)
	}
	if _, err := run(program, dockerfile, "other", nil, out); err == nil || !strings.Contains(err.Error(), "no stage is called other") {
		t.Errorf("a stage that is not there: %v", err)
	}

	libraries, err := libraries(filepath.Join(program.binaries, runtime.GOARCH))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range libraries {
		if !strings.Contains(name, "/libc.so") {
			continue
		}
		object := build{binaries: t.TempDir(), notice: notice, name: "greeter-so:1"}
		// A library of C stands for one of Go: both are loaded, and neither is run.
		if err := os.WriteFile(filepath.Join(object.binaries, runtime.GOARCH), withoutInterpreter(t, content), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := run(object, dockerfile, "object", nil, out); err != nil {
			t.Fatal(err)
		}
		files := layer(t, out)
		sum := fmt.Sprintf("%x  greeter-so.so\n", sha256.Sum256([]byte(files["plugins/greeter-so.so"])))
		if files["plugins/SHA256SUMS"] != sum || len(files) != 3 {
			t.Errorf("the object's image has %v, and sums %q, want %q", slices.Sorted(maps.Keys(files)), files["plugins/SHA256SUMS"], sum)
		}
	}
}

// withoutInterpreter takes the dynamic linker's name from a library that can be run as well,
// as glibc can.
func withoutInterpreter(t *testing.T, library []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(library))
	if err != nil {
		t.Fatal(err)
	}
	const heads, size = 64, 56 // where program headers of 64-bit files begin, and how long each is
	for i, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			library = slices.Clone(library)
			f.ByteOrder.PutUint32(library[heads+i*size:], uint32(elf.PT_NULL))
		}
	}
	return library
}
