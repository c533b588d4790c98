// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// elfFile returns the smallest ELF file for machine that asks for a dynamic linker.
func elfFile(t *testing.T, machine elf.Machine, linker string) []byte {
	t.Helper()
	const headerSize, progSize = 64, 56
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Phoff: headerSize, Ehsize: headerSize, Phentsize: progSize, Phnum: 1,
	}
	size := uint64(len(linker) + 1)
	prog := elf.Prog64{Type: uint32(elf.PT_INTERP), Off: headerSize + progSize, Filesz: size, Memsz: size}
	var file bytes.Buffer
	for _, part := range []any{header, prog, append([]byte(linker), 0)} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func TestDiagnose(t *testing.T) {
	foreign, other := elf.EM_AARCH64, "arm64"
	if runtime.GOARCH == "arm64" {
		foreign, other = elf.EM_X86_64, "amd64"
	}
	cases := map[string]struct {
		reason  string
		content []byte
		mode    os.FileMode
		want    []string
		not     []string
	}{
		"NotExecutable": {
			reason:  "The commonest mistake comes with its cure.",
			content: []byte("#!/bin/sh\n"),
			mode:    0o644,
			want:    []string{"mode: -rw-r--r--", "no executable bit is set: chmod +x", "owner: ", "this process runs as"},
		},
		"Architecture": {
			reason:  "A binary for another machine names both.",
			content: elfFile(t, foreign, "/bin/sh"),
			mode:    0o755,
			want:    []string{"ELF for " + other, "this host runs on " + runtime.GOOS + "/" + runtime.GOARCH, "GOARCH=" + runtime.GOARCH},
			not:     []string{"no executable bit", "does not exist"},
		},
		"DynamicLinker": {
			reason:  "A linker that is missing is what the system calls no such file.",
			content: elfFile(t, elf.EM_X86_64, "/lib/ld-of-another-libc.so.1"),
			mode:    0o755,
			want:    []string{"dynamic linker: /lib/ld-of-another-libc.so.1 does not exist here", "CGO_ENABLED=0"},
		},
		"Script": {
			reason:  "An interpreter that exists is named and not blamed.",
			content: []byte("#! /bin/sh -e\necho\n"),
			mode:    0o755,
			want:    []string{"format: script", "interpreter: /bin/sh"},
			not:     []string{"does not exist"},
		},
		"ScriptWithoutInterpreter": {
			reason:  "One that does not is.",
			content: []byte("#!/no/such/python\n"),
			mode:    0o755,
			want:    []string{"interpreter: /no/such/python does not exist here"},
		},
		"Windows": {
			reason:  "A Windows executable on another system.",
			content: windowsFile(),
			mode:    0o755,
			want:    []string{"PE for amd64", "it cannot run here"},
		},
		"Text":  {reason: "Something else.", content: []byte("hello"), mode: 0o755, want: []string{"neither a binary nor a script"}},
		"Empty": {reason: "An interrupted copy.", mode: 0o755, want: []string{"the file is empty"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plugin")
			if err := os.WriteFile(path, tc.content, tc.mode); err != nil {
				t.Fatal(err)
			}
			checkDiagnosis(t, tc.reason, path, append(tc.want, "path: "+path), tc.not)
		})
	}
}

func TestDiagnosePath(t *testing.T) {
	dir := t.TempDir()
	checkDiagnosis(t, "A directory is no plugin.", dir, []string{"this is a directory"}, nil)
	checkDiagnosis(t, "A path that does not exist.", filepath.Join(dir, "absent"), []string{"no such file"}, nil)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	checkDiagnosis(t, "Nothing is wrong with a program that runs.", self, []string{runtime.GOARCH},
		[]string{"cannot run here", "no executable bit", "does not exist"})
}

func checkDiagnosis(t *testing.T, reason, path string, want, not []string) {
	t.Helper()
	r, err := NewCmdRunner(hclog.NewNullLogger(), exec.Command(path))
	if err != nil {
		t.Fatal(err)
	}
	text := r.Diagnose(t.Context())
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("%s\nwant %q in:\n%s", reason, part, text)
		}
	}
	for _, part := range not {
		if strings.Contains(text, part) {
			t.Errorf("%s\nunexpected %q in:\n%s", reason, part, text)
		}
	}
}

// windowsFile is a DOS header that points at a COFF header for amd64.
func windowsFile() []byte {
	file := make([]byte, 512)
	copy(file, "MZ")
	file[0x3c] = 0x80
	copy(file[0x80:], "PE\x00\x00\x64\x86")
	return file
}
