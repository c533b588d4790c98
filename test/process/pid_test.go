// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

var errStillRuns = errors.New("the child still runs")

// readPid reads a process id from a named pipe, once somebody writes it.
func readPid(t *testing.T, pipe string) int {
	t.Helper()
	text, err := os.ReadFile(pipe)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
