// SPDX-License-Identifier: MPL-2.0

// Command testall runs the tests of several modules, one directory each, and says
// at the end how many passed, failed and were skipped.
//
//	testall [-flags "-race -count=1"] [-alone "DIR..."] DIR...
//
// Two modules are tested side by side, each with half as many packages at once as go test
// would take: many tests wait for processes and for time, and many modules have one package
// that takes minutes, beside which the other processors would have nothing to do. The modules
// are begun in the order in which they are given, so the one that takes longest comes first.
//
// Those named by -alone come after all others, one by one: their tests occupy the machine on
// purpose, with floods and kills, and what another test waits for beside them says nothing.
//
// It shows the output of what failed only. It exits with 1 when anything failed, and when no
// test passed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// sideBySide is how many modules are tested at once, but for those that are tested alone.
const sideBySide = 2

func main() {
	flags := flag.String("flags", "", "arguments of go test, apart from -json, -p and the packages")
	alone := flag.String("alone", "", "modules that are tested by themselves, after the others")
	flag.Parse()
	arguments, out := bounded(strings.Fields(*flags)), &lines{to: os.Stdout}
	total, failed := testAll(flag.Args(), sideBySide, arguments, out)
	more, failedAlone := testAll(strings.Fields(*alone), 1, arguments, out)
	total.add(more)
	failed = failed || failedAlone
	fmt.Printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if failed || total.failed > 0 || total.passed == 0 {
		os.Exit(1)
	}
}

// timeout is how long the tests of one package may take where the flags do not say it. Some
// build programs: on a busy machine that has not built them before, the ten minutes of go
// test do not suffice.
const timeout = "60m"

// bounded gives the flags with a timeout.
func bounded(flags []string) []string {
	for _, each := range flags {
		name, _, _ := strings.Cut(strings.TrimLeft(each, "-"), "=")
		if name == "timeout" || name == "test.timeout" {
			return flags
		}
	}
	return append([]string{"-timeout", timeout}, flags...)
}

// testAll tests the modules in dirs, so many at once, and says on out how each of their
// packages ended. It reports whether a module could not be tested.
func testAll(dirs []string, atOnce int, flags []string, out io.Writer) (total count, failed bool) {
	next := make(chan string)
	go func() {
		defer close(next)
		for _, dir := range dirs {
			next <- dir
		}
	}()
	var mu sync.Mutex // guards total and failed
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for dir := range next {
				fmt.Fprintf(out, "== %s\n", dir)
				c, err := testModule(dir, max(1, runtime.GOMAXPROCS(0)/atOnce), flags, out)
				if err != nil {
					fmt.Fprintf(out, "FAIL  %s: %v\n", dir, err)
				}
				mu.Lock()
				total.add(c)
				failed = failed || err != nil
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return total, failed
}

// testModule tests every package of the module in dir that has tests, so many at once. The
// others are not compiled: make check has looked at them.
func testModule(dir string, atOnce int, flags []string, out io.Writer) (count, error) {
	packages, err := tested(dir)
	if err != nil || len(packages) == 0 {
		return count{}, err
	}
	cmd := exec.Command("go", append(append([]string{"test", "-json", "-p", strconv.Itoa(atOnce)}, flags...), packages...)...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return count{}, err
	}
	if err := cmd.Start(); err != nil {
		return count{}, err
	}
	c, err := tally(events, out)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return c, err
	}
	if err := cmd.Wait(); err != nil && c.failed == 0 {
		return c, fmt.Errorf("go test: %w", err)
	}
	return c, nil
}

// tested lists the packages of the module in dir that have tests.
func tested(dir string) ([]string, error) {
	cmd := exec.Command("go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// lines writes what it is given at once as a whole, whichever module it is of.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}
