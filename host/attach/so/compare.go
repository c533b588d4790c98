// SPDX-License-Identifier: MPL-2.0

package so

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
)

// Settings of a build that reach into every package: where they differ, nothing
// fits.
var decisive = []string{
	"GOOS", "GOARCH", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOPPC64", "GORISCV64",
	"GOEXPERIMENT", "GOFIPS140", "-compiler", "-race", "-msan", "-asan", "-trimpath",
}

// Settings that may change some packages and leave others alone.
var suspicious = []string{"-tags", "-gcflags", "-asmflags", "-pgo", "-cover", "-covermode", "CGO_CFLAGS", "CGO_CPPFLAGS"}

// difference is one thing in which two builds differ.
type difference struct{ what, host, object string }

func (d difference) String() string {
	return fmt.Sprintf("%s: the host has %s, the shared object %s", d.what, cmp.Or(d.host, "none"), cmp.Or(d.object, "none"))
}

// differences compares two builds. What is certain keeps the shared object from
// being loaded; what is possible explains it, if it is.
func differences(host, object *buildinfo.BuildInfo) (certain, possible []difference) {
	note := func(to *[]difference, what, ours, theirs string) {
		if ours != theirs {
			*to = append(*to, difference{what, ours, theirs})
		}
	}
	note(&certain, "Go", host.GoVersion, object.GoVersion)
	for _, key := range decisive {
		note(&certain, key, setting(host, key), setting(object, key))
	}
	for _, key := range suspicious {
		note(&possible, key, setting(host, key), setting(object, key))
	}
	if len(host.Deps) == 0 {
		return certain, possible // A test binary does not know its modules.
	}
	ours, theirs := modules(host), modules(object)
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		us := ours[path]
		them, both := theirs[path]
		switch {
		case !both || us.text == them.text:
		case us.certain && them.certain:
			note(&certain, "module "+path, us.text, them.text)
		default:
			note(&possible, "module "+path, us.text, them.text)
		}
	}
	return certain, possible
}

// module is what one side was built from.
type module struct {
	text string
	// certain is set if another text means other code. A directory does not
	// say what is in it.
	certain bool
}

func modules(info *buildinfo.BuildInfo) map[string]module {
	all := make(map[string]module, len(info.Deps)+1)
	all[info.Main.Path] = module{text: strings.TrimSpace("its own source " + info.Main.Version)}
	for _, dep := range info.Deps {
		all[dep.Path] = moduleOf(dep)
	}
	return all
}

func moduleOf(dep *debug.Module) module {
	if dep.Replace == nil {
		return module{text: dep.Version, certain: true}
	}
	with := strings.TrimSpace(dep.Replace.Path + " " + dep.Replace.Version)
	// Only a module from the outside has a checksum.
	return module{text: dep.Version + " => " + with, certain: dep.Replace.Sum != ""}
}

// list puts differences into one line.
func list(differences []difference) string {
	lines := make([]string, len(differences))
	for i, d := range differences {
		lines[i] = d.String()
	}
	return strings.Join(lines, "; ")
}
