// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
)

// check refuses a binary that the image could not run, or that no host could load.
func (b build) check(path, arch string) error {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	machine, ok := machines[arch]
	if !ok {
		return fmt.Errorf("architecture %s is not known here: want one of %v", arch, slices.Sorted(maps.Keys(machines)))
	}
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	loader := interpreter(f)
	switch {
	case f.Machine != machine:
		return fmt.Errorf("the binary is for %s", f.Machine)
	case b.stage.object && (loader != "" || f.Type != elf.ET_DYN):
		return errors.New("the binary is no shared object: build it with -buildmode=plugin")
	case b.stage.object:
	case b.stage.libraries && loader == "":
		return errors.New("the binary is static, and has no use for libraries: leave them out of the Dockerfile")
	case b.stage.libraries && arch != runtime.GOARCH:
		return fmt.Errorf("the libraries of %s are not on this machine", arch)
	case !b.stage.libraries && loader != "":
		return errors.New("the binary is not static: build it with CGO_ENABLED=0")
	}
	return nil
}

// interpreter is the dynamic linker that a program names; empty: it is static, or no program.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err == nil {
			return string(bytes.TrimRight(name, "\x00"))
		}
	}
	return ""
}

// listed is a library in what a dynamic linker lists, such as
// "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0000000000)".
var listed = regexp.MustCompile(`=> (/\S+) \(`)

// copyright has the terms of glibc, where it is Debian's.
const copyright = "/usr/share/doc/libc6/copyright"

// libraries gives what a program is linked with, by path, as this machine's dynamic linker
// finds it, and that linker itself: where it looks for them it finds them in the image, too.
func libraries(path string) (map[string][]byte, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	loader := interpreter(f)
	_ = f.Close()
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	text, err := exec.Command(loader, "--list", absolute).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s --list %s: %w: %s", loader, path, err, text)
	}
	names := []string{loader}
	for _, found := range listed.FindAllSubmatch(text, -1) {
		names = append(names, string(found[1]))
	}
	if _, err := os.Stat(copyright); err == nil {
		names = append(names, copyright)
	}
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		if files[name], err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}
