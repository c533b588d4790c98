// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program under attack.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout io.Reader
	log    *counted // its stderr
	ended  chan struct{}
}

// run starts a binary of bin. The test kills it at its end if it still runs.
func run(t *testing.T, name string, args, env []string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(filepath.Join(bin, name), args...), log: &counted{}, ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	p.cmd.Stderr = p.log
	stdout, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout, p.cmd.Stdout = stdout, write
	err = p.cmd.Start()
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = stdout.Close()
		if t.Failed() {
			t.Logf("the log of %s ends with\n%s", name, p.log.tail())
		}
	})
	return p
}

// lives fails the test unless the process runs.
func (p *process) lives() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("the process has ended: %v\n%s", p.cmd.ProcessState, p.log.tail())
	default:
	}
}

// end sends a signal, and gives the exit code and how long the end took.
func (p *process) end(sig syscall.Signal) (int, time.Duration) {
	p.t.Helper()
	began := time.Now()
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("the process does not end by %v", sig)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// peakMemory is the most that was resident ever, in bytes.
func (p *process) peakMemory() int64 {
	p.t.Helper()
	p.lives()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		p.t.Fatalf("no VmHWM in %s", status)
	}
	kib, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10
}

// cpu is how long it has used the processor so far.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	// What stands behind the name, which is in brackets and may be anything: user and system
	// time are fields 14 and 15 of all, in hundredths of a second.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// descriptors is how many are open.
func (p *process) descriptors() int {
	p.t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(fds)
}

// counted counts the bytes of a log, and keeps the last of them.
type counted struct {
	mu   sync.Mutex
	n    int64
	last []byte
	// found gives the first match of what, if there is one.
	what  *regexp.Regexp
	found chan string
}

const keptLog = 64 << 10

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(len(p))
	c.last = append(c.last, p...)
	if c.what != nil {
		if m := c.what.FindSubmatch(c.last); m != nil {
			c.what = nil
			c.found <- string(m[1])
		}
	}
	if len(c.last) > keptLog {
		c.last = bytes.Clone(c.last[len(c.last)-keptLog/2:])
	}
	return len(p), nil
}

// await gives the first match of a regular expression's first group.
func (c *counted) await(t *testing.T, what string) string {
	t.Helper()
	found := make(chan string, 1)
	c.mu.Lock()
	c.what, c.found = regexp.MustCompile(what), found
	c.mu.Unlock()
	_, _ = c.Write(nil)
	select {
	case text := <-found:
		return text
	case <-time.After(patience):
		t.Fatalf("the log never says %s\n%s", what, c.tail())
		return ""
	}
}

func (c *counted) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counted) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.last[max(0, len(c.last)-4<<10):])
}

// address reads the handshake line of a plugin in network mode.
func (p *process) address() string {
	p.t.Helper()
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); {
		if _, err := p.stdout.Read(b); err != nil {
			p.t.Fatalf("the plugin said %q: %v\n%s", line, err, p.log.tail())
		}
		line = append(line, b...)
	}
	go func() { _, _ = io.Copy(io.Discard, p.stdout) }()
	_, port, err := net.SplitHostPort(strings.Split(string(line), "|")[3])
	if err != nil {
		p.t.Fatalf("handshake line %q: %v", line, err)
	}
	return "127.0.0.1:" + port
}

// writeFile writes a file that only its owner may read, and gives its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
