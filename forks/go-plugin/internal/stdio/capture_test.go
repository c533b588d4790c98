// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// roleVar makes the test binary play a plugin instead of running tests.
const roleVar = "STDIO_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVar) == "plugin without stdout" {
		os.Exit(writeWithoutStdout())
	}
	goleak.VerifyTestMain(m)
}

// writeWithoutStdout runs in a process whose standard output is a broken pipe.
func writeWithoutStdout() int {
	hub := stdio.NewHub(1 << 20)
	sub := hub.Subscribe()
	captured, err := stdio.Capture(hub, os.Stdout, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for range 100 {
		if _, err := captured.Stdout.Write(bytes.Repeat([]byte("z"), 10_000)); err != nil {
			fmt.Fprintln(os.Stderr, "the plugin was disturbed:", err)
			return 1
		}
	}
	err = captured.Close(context.Background())
	hub.Close()
	fmt.Fprintf(os.Stderr, "hub got %d, close says %v", len(all(sub)), errors.Is(err, syscall.EPIPE))
	return 0
}

// all reads what a subscription holds that comes to an end.
func all(sub stdio.Stream) string {
	var b strings.Builder
	for {
		c, err := sub.Next(context.Background())
		if err != nil {
			return b.String()
		}
		b.Write(c.Data)
	}
}

func original(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func content(t *testing.T, file *os.File) []byte {
	t.Helper()
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCaptureLosesNothing writes 100 MiB with a stalled host attached: the
// original holds every byte as soon as Close has returned.
func TestCaptureLosesNothing(t *testing.T) {
	const total = 100 << 20
	hub := stdio.NewHub(256 << 10)
	stalled := hub.Subscribe()
	defer stalled.Close()
	stdout, stderr := original(t, "stdout"), original(t, "stderr")
	captured, err := stdio.Capture(hub, stdout, stderr)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("0123456789abcde\n", 4096))
	for range total / len(line) {
		if _, err := captured.Stdout.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprint(captured.Stderr, "last words")
	if err := captured.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, stdout); !bytes.Equal(got, bytes.Repeat(line, total/len(line))) {
		t.Errorf("the original's %d bytes are not the %d written", len(got), total)
	}
	if got := content(t, stderr); string(got) != "last words" {
		t.Errorf("stderr: %q", got)
	}
	hub.Close()
	own, missed := account(t, drain(t, stalled), stdio.Stdout)
	if own+missed != total {
		t.Errorf("the hub got %d and missed %d of %d", own, missed, total)
	}
	if _, err := stdout.WriteString("still ours"); err != nil {
		t.Errorf("the original was closed: %v", err)
	}
}

func TestCaptureWithoutOriginal(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	sub := hub.Subscribe()
	defer sub.Close()
	captured, err := stdio.Capture(hub, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(captured.Stdout, "out")
	fmt.Fprint(captured.Stderr, "err")
	if err := captured.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	hub.Close()
	chunks := drain(t, sub)
	if text(chunks, stdio.Stdout) != "out" || text(chunks, stdio.Stderr) != "err" {
		t.Errorf("got %v", chunks)
	}
}

// TestCaptureSurvivesBrokenStdout runs in a process of its own, because a Go
// program that writes to a broken descriptor 1 is ended by SIGPIPE.
func TestCaptureSurvivesBrokenStdout(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"=plugin without stdout")
	var report bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, report.String())
	}
	if want := "hub got 1000000, close says true"; report.String() != want {
		t.Errorf("want %q, got %q", want, report.String())
	}
}

// TestCloseWithGrandchild has a process hold the pipe open that outlives Close.
func TestCloseWithGrandchild(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	stdout := original(t, "stdout")
	captured, err := stdio.Capture(hub, stdout, nil)
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("sleep", "600")
	holder.Stdout = captured.Stdout
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { holder.Process.Kill(); holder.Wait() }()
	data := bytes.Repeat([]byte("d"), 50_000)
	if _, err := captured.Stdout.Write(data); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := captured.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	if got := content(t, stdout); !bytes.Equal(got, data) {
		t.Errorf("%d bytes of %d arrived", len(got), len(data))
	}
}

// TestCloseIsBounded has an original that takes nothing.
func TestCloseIsBounded(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	captured, err := stdio.Capture(stdio.NewHub(1<<20), w, nil)
	if err != nil {
		t.Fatal(err)
	}
	captured.Stdout.Write(make([]byte, 60_000)) // fills w's pipe
	captured.Stdout.Write(make([]byte, 60_000)) // waits in ours
	errTired := errors.New("tired")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTired)
	if err := captured.Close(ctx); !errors.Is(err, errTired) {
		t.Errorf("want the context's cause, got %v", err)
	}
	r.Close() // lets the pump go, for goleak
	_ = captured.Close(t.Context())
}

// TestPumpsHaveSmallStacks holds that what a pump moves is not on its stack: Go
// makes new goroutines as large as those that it has seen on the average, and a
// plugin has few others.
func TestPumpsHaveSmallStacks(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	defer hub.Close()
	stacks := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.StackInuse) // It may have fallen: what earlier tests had is given back.
	}
	before := stacks()
	const captures = 10
	for range captures {
		captured, err := stdio.Capture(hub, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer captured.Close(context.Background())
		for _, f := range []*os.File{captured.Stdout, captured.Stderr} {
			fmt.Fprint(f, "x") // The pump has begun when that has come.
		}
	}
	sub := hub.Subscribe()
	defer sub.Close()
	for got := 0; got < 2*captures; {
		chunk, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got += len(chunk.Data)
	}
	if each := (stacks() - before) / (2 * captures); each > 32<<10 {
		t.Errorf("a pump has a stack of %d bytes", each)
	}
}
