// SPDX-License-Identifier: MPL-2.0

package so

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// inspect reads from a file what it is, without loading it, and says what keeps
// it from being a plugin at all.
func inspect(path string) (*buildinfo.BuildInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkELF(f); err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(f)
	if err != nil {
		return nil, fmt.Errorf("it is not a Go plugin: it has no Go build information, "+
			"as a shared object of another language has none (%w)", err)
	}
	switch mode := setting(info, "-buildmode"); mode {
	case "plugin":
		return info, nil
	case "":
		return nil, errors.New("it is not a Go plugin: its build information does not say -buildmode=plugin")
	default:
		return nil, fmt.Errorf("it is not a Go plugin: it is %s, built with -buildmode=%s; build it with -buildmode=plugin", nameOf(mode), mode)
	}
}

// nameOf says what a build mode makes.
func nameOf(mode string) string {
	switch mode {
	case "exe", "pie":
		return "an executable"
	case "c-shared":
		return "a library for C, with a Go runtime of its own"
	case "c-archive", "archive":
		return "an archive"
	}
	return "something else"
}

// checkELF looks at the head of the file, where shared objects are ELF.
func checkELF(f *os.File) error {
	if runtime.GOOS == "darwin" {
		return nil // Mach-O: its build information tells all there is.
	}
	head := make([]byte, 16)
	n, _ := f.ReadAt(head, 0)
	if !bytes.HasPrefix(head[:n], []byte(elf.ELFMAG)) {
		return fmt.Errorf("it is not a shared object: it begins with %q", head[:n])
	}
	file, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("it is not a shared object: %w", err)
	}
	defer file.Close()
	if ours, ok := machines[runtime.GOARCH]; ok && file.Machine != ours {
		return fmt.Errorf("it is for another machine: %s, and this host is %s (%s)", file.Machine, ours, runtime.GOARCH)
	}
	if file.Type != elf.ET_DYN {
		return fmt.Errorf("it is not a shared object but an ELF file of type %s", file.Type)
	}
	return nil
}

// machines are those for which Go can make plugins.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64,
	"loong64": elf.EM_LOONGARCH, "ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// setting gives one of the settings of a build, "" for one that is not there.
func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
