// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
)

// failWithin is how long a program may take to say that it cannot work.
const failWithin = 20 * time.Second

// fails runs a program that must end by itself, and returns its exit code and the last
// line on its stderr, which says why.
func fails(t *testing.T, cmd *exec.Cmd) (code int, line []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), failWithin)
	defer cancel()
	var stderr kit.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	err := cmd.Wait()
	if ctx.Err() != nil {
		t.Fatalf("it still runs after %v:\n%s", failWithin, stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace([]byte(stderr.String())), []byte("\n"))
	return cmd.ProcessState.ExitCode(), lines[len(lines)-1]
}

// writeFile writes a file that is no program.
func writeFile(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("\x00\x01 no program\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}
