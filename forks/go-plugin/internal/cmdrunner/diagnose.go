// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"bufio"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// Diagnose says what is known of the executable and what of that may keep it
// from serving. It is made of facts that can be looked up without running it.
func (r *Runner) Diagnose(context.Context) string {
	var text strings.Builder
	text.WriteString("The plugin did not give a valid handshake. Usual reasons: it was built for another system or\n" +
		"architecture, it lacks a library or dynamic linker, this process may not execute it, it is not\n" +
		"a plugin, or it wrote something else to its standard output first.\n")
	for _, note := range inspect(r.path) {
		fmt.Fprintf(&text, "  %s\n", note)
	}
	return text.String()
}

// inspect returns one line per fact.
func inspect(path string) []string {
	notes := []string{"path: " + path}
	info, err := os.Stat(path)
	if err != nil {
		return append(notes, "it cannot be examined: "+err.Error())
	}
	notes = append(notes, "mode: "+info.Mode().String())
	notes = append(notes, owner(info)...)
	switch {
	case info.IsDir():
		return append(notes, "this is a directory")
	case info.Size() == 0:
		return append(notes, "the file is empty")
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		notes = append(notes, "no executable bit is set: chmod +x "+path)
	}
	return append(notes, format(path)...)
}

// format tells which system and architecture the file is for.
func format(path string) []string {
	if file, err := elf.Open(path); err == nil {
		defer file.Close()
		return append(architecture("ELF", goarch(file.Machine), "linux"), interpreter(file)...)
	}
	if file, err := macho.Open(path); err == nil {
		defer file.Close()
		return architecture("Mach-O", strings.TrimPrefix(strings.ToLower(file.Cpu.String()), "cpu"), "darwin")
	}
	if file, err := macho.OpenFat(path); err == nil {
		defer file.Close()
		return []string{"format: Mach-O for several architectures; this host runs on " + runtime.GOOS + "/" + runtime.GOARCH}
	}
	if file, err := pe.Open(path); err == nil {
		defer file.Close()
		return architecture("PE", peArch(file.Machine), "windows")
	}
	return script(path)
}

func architecture(kind, arch, system string) []string {
	notes := []string{fmt.Sprintf("format: %s for %s; this host runs on %s/%s", kind, arch, runtime.GOOS, runtime.GOARCH)}
	// Other systems than Linux use ELF too, so only the certain is said.
	foreign := (runtime.GOOS == "windows" || runtime.GOOS == "darwin" || system != "linux") && system != runtime.GOOS
	if foreign || arch != runtime.GOARCH {
		notes = append(notes, fmt.Sprintf("it cannot run here: build it with GOOS=%s GOARCH=%s", runtime.GOOS, runtime.GOARCH))
	}
	return notes
}

// goarch returns Go's name of an ELF machine, or the machine's own. The byte order,
// which tells ppc64 from ppc64le, is assumed to be the host's.
func goarch(machine elf.Machine) string {
	arch, known := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64",
		elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loong64", elf.EM_PPC64: "ppc64", elf.EM_MIPS: "mips",
	}[machine]
	switch {
	case !known:
		return machine.String()
	case (arch == "ppc64" || arch == "mips") && strings.HasPrefix(runtime.GOARCH, arch):
		return runtime.GOARCH
	}
	return arch
}

// peArch returns Go's name of a Windows machine, or its number.
func peArch(machine uint16) string {
	arch, known := map[uint16]string{
		pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_I386: "386",
	}[machine]
	if !known {
		return fmt.Sprintf("machine 0x%x", machine)
	}
	return arch
}

// interpreter checks the dynamic linker that an ELF file asks for. That it is
// missing is reported by the system as "no such file", of the plugin.
func interpreter(file *elf.File) []string {
	for _, prog := range file.Progs {
		if prog.Type != elf.PT_INTERP || prog.Filesz > 4096 {
			continue
		}
		name := make([]byte, prog.Filesz)
		if _, err := prog.ReadAt(name, 0); err != nil {
			return nil
		}
		return needs("dynamic linker", strings.TrimRight(string(name), "\x00"),
			"build the plugin with CGO_ENABLED=0, or on an image with the same C library")
	}
	return nil
}

// script explains a file that is no binary.
func script(path string) []string {
	file, err := os.Open(path)
	if err != nil {
		return []string{"it cannot be read: " + err.Error()}
	}
	defer file.Close()
	line, _ := bufio.NewReaderSize(file, 256).ReadSlice('\n')
	rest, isScript := strings.CutPrefix(string(line), "#!")
	if fields := strings.Fields(rest); isScript && len(fields) > 0 {
		return append([]string{"format: script"}, needs("interpreter", fields[0], "install it, or name another one")...)
	}
	return []string{"format: neither a binary nor a script with a #! line"}
}

func needs(what, path, cure string) []string {
	note := fmt.Sprintf("%s: %s", what, path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		note += " does not exist here: " + cure
	}
	return []string{note}
}
