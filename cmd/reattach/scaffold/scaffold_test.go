// SPDX-License-Identifier: MPL-2.0

//go:build unix

package scaffold

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// source is that of this repository.
const source = "../../.."

// written makes a module, and gives its directory.
func written(t *testing.T, kind, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := Write(t.Context(), Options{Kind: kind, Name: name, Dir: dir, Source: source}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// do runs a command in a directory.
func do(t *testing.T, dir string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// workflow gives the commands of a module's workflow for CI.
func workflow(t *testing.T, dir string) (steps []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, ".github", "workflows", "ci.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var ci struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	if err := yaml.Unmarshal(raw, &ci); err != nil {
		t.Fatal(err)
	}
	for _, job := range ci.Jobs {
		for _, step := range job.Steps {
			if step.Run != "" {
				steps = append(steps, step.Run)
			}
		}
	}
	if len(steps) < 2 {
		t.Errorf("the workflow has the steps %q", steps)
	}
	return steps
}

// image runs what make image does but for the engine that builds images: the dependencies
// are put beside, the commands of the Dockerfile run without a module proxy, and what its last stage,
// which is empty, takes from them is a static executable.
func image(t *testing.T, dir string) {
	t.Helper()
	do(t, dir, "make", "vendor")
	raw, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	for _, line := range regexp.MustCompile(`(?m)^RUN (.*)$`).FindAllStringSubmatch(string(raw), -1) {
		do(t, dir, "env", "GOPROXY=off", "GOWORK=off", "sh", "-ec", strings.ReplaceAll(line[1], " -o /", " -o "+out+"/"))
	}
	taken := regexp.MustCompile(`(?m)^FROM scratch\nCOPY --from=build (/\S+) (/\S+)\n(?:.*\n)*ENTRYPOINT \["(/\S+)"\]$`).FindStringSubmatch(string(raw))
	if taken == nil || taken[2] != taken[3] {
		t.Fatalf("the Dockerfile does not start what it copies into an empty image:\n%s", raw)
	}
	program, err := elf.Open(filepath.Join(out, taken[1]))
	if err != nil {
		if _, missing := os.Stat(filepath.Join(out, taken[1])); missing != nil || runtime.GOOS == "linux" {
			t.Error(err)
		}
		return
	}
	defer program.Close()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			t.Errorf("%s is linked dynamically", taken[1])
		}
	}
}

// TestModules holds that each kind of module builds and is formatted as Go is, that its
// workflow passes, and that its image can be built.
func TestModules(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds three modules")
	}
	for _, kind := range []string{Contract, Plugin, Host} {
		t.Run(kind, func(t *testing.T) {
			dir := written(t, kind, "greet") // as the method of its interface
			out, err := exec.CommandContext(t.Context(), "gofmt", "-l", dir).CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("gofmt: %v %s", err, out)
			}
			for _, step := range workflow(t, dir) {
				do(t, dir, "bash", "-eo", "pipefail", "-c", step)
			}
			if kind != Contract {
				do(t, dir, "make", "build")
				do(t, dir, "bash", "-n", "run.sh")
				image(t, dir)
			}
		})
	}
}

// TestContractOfOthers holds that plugin and host may use a contract in a module of its own.
func TestContractOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a plugin and a host")
	}
	contract := written(t, Contract, "store")
	for _, kind := range []string{Plugin, Host} {
		dir := filepath.Join(t.TempDir(), "shop")
		if err := Write(t.Context(), Options{Kind: kind, Name: "shop", Dir: dir, Source: source, Contract: contract}); err != nil {
			t.Fatal(err)
		}
		do(t, dir, "make", "check")
		do(t, dir, "go", "test", "./...")
		if out, err := exec.CommandContext(t.Context(), "gofmt", "-l", dir).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("gofmt: %v %s", err, out)
		}
	}
}

// TestRun holds that a module which was just written greets, and that what is saved takes
// the place of what runs.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a plugin and a host")
	}
	dir := written(t, Plugin, "store")
	run := exec.CommandContext(t.Context(), "make", "run")
	run.Dir, run.SysProcAttr = dir, &syscall.SysProcAttr{Setpgid: true}
	run.Cancel = func() error { return syscall.Kill(-run.Process.Pid, syscall.SIGKILL) }
	out, in := io.Pipe()
	run.Stdout, run.Stderr = in, in
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	ended := make(chan error, 1)
	go func() {
		ended <- run.Wait()
		_ = in.Close()
	}()
	await := func(want string) {
		t.Helper()
		late := time.After(4 * time.Minute)
		for {
			select {
			case line, open := <-lines:
				if line == want {
					return
				}
				t.Log(line)
				if !open {
					t.Fatalf("it ended without saying %q", want)
				}
			case <-late:
				t.Fatalf("it did not say %q", want)
			}
		}
	}
	await("store  Hello world")
	main := filepath.Join(dir, "plugin", "main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(main, bytes.Replace(text, []byte("Hello "), []byte("Good day, "), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	await("store  Good day, world")
	if err := syscall.Kill(-run.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		t.Log(line)
	}
	<-ended // make says that it was interrupted
	if err := syscall.Kill(-run.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("processes of it are left: %v", err)
		_ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
	}
}

// TestReleasedModule holds that after a release no line names a directory.
func TestReleasedModule(t *testing.T) {
	v := values{Options: Options{Kind: Plugin, Name: "store", Module: "example.com/store", Dir: t.TempDir(), Version: "v1.2.3"}, ForkVersion: forkVersion + "1.2.3"}
	if err := v.write("templates/common/go.mod.tmpl", "go.mod"); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(v.Dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\tgithub.com/reattach/reattach v1.2.3\n",
		"replace github.com/hashicorp/go-plugin => github.com/reattach/reattach/forks/go-plugin v1.8.0-reattach.1.2.3\n",
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%q is missing in\n%s", want, raw)
		}
	}
	if strings.Contains(string(raw), "=> /") || strings.Contains(string(raw), "v0.0.0") {
		t.Errorf("go.mod names what a copy does not have:\n%s", raw)
	}
}

func TestReleaseOf(t *testing.T) {
	const path = "github.com/reattach/reattach"
	for version, want := range map[string]string{"v1.2.3": "v1.2.3", "v1.0.0-rc.1": "v1.0.0-rc.1", "(devel)": "", "v0.0.0-20261128183045-82d04b1f0a5e": "", "v1.2.3+dirty": ""} {
		build := &debug.BuildInfo{Main: debug.Module{Path: path + "/cmd/reattach"}, Deps: []*debug.Module{{Path: path, Version: version}}}
		if got := releaseOf(build); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
		build.Deps[0].Replace = &debug.Module{Path: "../.."}
		if got := releaseOf(build); got != "" {
			t.Errorf("%s, replaced: %q", version, got)
		}
		build.Main.Version = version // as the command of a release is built
		if got := releaseOf(build); got != want {
			t.Errorf("%s, of the command: %q, want %q", version, got, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no name":       {Options{Source: source}, `name "": want that of a Go package`},
		"capitals":      {Options{Name: "Store", Source: source}, `name "Store"`},
		"a word of Go":  {Options{Name: "func", Source: source}, `name "func"`},
		"a package":     {Options{Name: "stub", Source: source}, `name "stub"`},
		"module":        {Options{Name: "store", Module: "example.com/other", Source: source}, "must end with /store"},
		"no source":     {Options{Name: "store"}, "--reattach-source"},
		"other source":  {Options{Name: "store", Source: t.TempDir()}, "is no directory of Reattach's"},
		"no contract":   {Options{Name: "store", Source: source, Contract: t.TempDir()}, "contract "},
		"not generated": {Options{Name: "store", Source: source, Contract: source, Dir: filepath.Join(full, "new")}, "has no contract.json"},
		"itself":        {Options{Name: "calculator", Source: source, Contract: source + "/examples/calculator", Dir: filepath.Join(full, "new")}, "is that of the contract"},
		"not empty":     {Options{Name: "store", Source: source, Dir: full}, "is not empty"},
		"a file":        {Options{Name: "store", Source: source, Dir: filepath.Join(full, "mine")}, "mine"},
	} {
		tc.o.Kind = Plugin
		if err := Write(t.Context(), tc.o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestSourceDir holds that any path can stand in a go.mod.
func TestSourceDir(t *testing.T) {
	for dir, want := range map[string]string{"/src/reattach": "/src/reattach/gen", "/my code/x": `"/my code/x/gen"`, "/é": `"/é/gen"`} {
		if got := (values{Options: Options{Source: dir}}).SourceDir("gen"); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}
