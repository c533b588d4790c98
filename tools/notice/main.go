// SPDX-License-Identifier: MPL-2.0

// Command notice writes what a binary has to say of the modules that it is made of: the
// path, the version and the licence of each, in full. A module without a licence is an
// error, since nobody may pass it on.
//
//	notice -o NOTICE -C ../cmd/reattach -os linux,darwin,windows .
//
// It reads the module cache, which a build has filled.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	out := flag.String("o", "", "file to write; empty for the standard output")
	dir := flag.String("C", ".", "directory of the module whose packages are named")
	systems := flag.String("os", "linux", "comma list of the operating systems that the binaries are for")
	flag.Parse()
	if err := run(*dir, strings.Split(*systems, ","), flag.Args(), *out); err != nil {
		fmt.Fprintf(os.Stderr, "notice: %v\n", err)
		os.Exit(1)
	}
}

func run(dir string, systems, packages []string, out string) error {
	if len(packages) == 0 {
		return errors.New("which packages? Such as ./host")
	}
	modules := make(map[string]module)
	for _, system := range systems {
		if err := list(dir, system, packages, modules); err != nil {
			return fmt.Errorf("list what %s is made of for %s: %w", strings.Join(packages, " "), system, err)
		}
	}
	var text bytes.Buffer
	if err := write(&text, modules); err != nil {
		return err
	}
	if out == "" {
		_, err := os.Stdout.Write(text.Bytes())
		return err
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}

// module is as much of what go list says as is needed.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

// list adds the modules of all packages that the named ones are built from.
func list(dir, system string, packages []string, to map[string]module) error {
	arguments := append([]string{"list", "-deps", "-json=Module"}, packages...)
	cmd := exec.Command("go", arguments...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	said, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaint.Bytes()))
	}
	for decoder := json.NewDecoder(bytes.NewReader(said)); ; {
		var p struct{ Module *module }
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case p.Module != nil:
			to[p.Module.Path] = *p.Module
		}
	}
}

const rule = "\n--------------------------------------------------------------------------------\n"

func write(to io.Writer, modules map[string]module) error {
	fmt.Fprintln(to, "This program is made of the modules below, under the licences below.")
	var missing []error
	for _, m := range slices.SortedFunc(maps.Values(modules), func(a, b module) int { return cmp.Compare(a.Path, b.Path) }) {
		if m.Main || (m.Replace != nil && m.Replace.Version == "") {
			continue // of this repository, whose LICENSE lies beside this
		}
		texts, err := licences(m.Dir)
		if err != nil {
			missing = append(missing, fmt.Errorf("%s %s: %w", m.Path, m.Version, err))
		}
		for _, text := range texts {
			fmt.Fprintf(to, "%s%s %s, %s\n\n%s\n", rule, m.Path, m.Version, text.name, bytes.TrimSpace(text.content))
		}
	}
	return errors.Join(missing...)
}

type licence struct {
	name    string
	content []byte
}

var names = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([-.].*)?$`)

// licences gives the files in a module's root that say how it may be passed on.
func licences(dir string) ([]licence, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []licence
	granted := false
	for _, f := range files {
		if f.IsDir() || !names.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		granted = granted || !strings.HasPrefix(strings.ToLower(f.Name()), "notice")
		found = append(found, licence{f.Name(), content})
	}
	if !granted {
		return nil, errors.New("no licence in its root")
	}
	return found, nil
}
