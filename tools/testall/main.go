// SPDX-License-Identifier: MPL-2.0

// Command testall runs the tests of several modules, one directory each, and says
// at the end how many passed, failed and were skipped.
//
//	testall [-flags "-race -count=1"] DIR...
//
// It shows the output of what failed only. It exits with 1 when anything failed.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	flags := flag.String("flags", "", "arguments of go test, apart from -json and the packages")
	flag.Parse()
	var total count
	for _, dir := range flag.Args() {
		c, err := testModule(dir, strings.Fields(*flags))
		if err != nil {
			fmt.Fprintf(os.Stderr, "testall: %s: %v\n", dir, err)
			os.Exit(1)
		}
		total.add(c)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if total.failed > 0 {
		os.Exit(1)
	}
}

// testModule tests every package of the module in dir.
func testModule(dir string, flags []string) (count, error) {
	fmt.Printf("== %s\n", dir)
	cmd := exec.Command("go", append(append([]string{"test", "-json"}, flags...), "./...")...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return count{}, err
	}
	if err := cmd.Start(); err != nil {
		return count{}, err
	}
	c, err := tally(out, os.Stdout)
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
