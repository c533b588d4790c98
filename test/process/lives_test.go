// SPDX-License-Identifier: MPL-2.0

//go:build linux

package process

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lives is how often each way to end is tried with 1 and with 20 children, idle
// and under calls, over both protocols.
var lives = flag.Int("lives", 0, "how often to end the daemon in each way and setting; 0 is once, with 1 or 3 children")

// childrenEnd is how long children may outlive their host. They look for it every second, or the
// kernel ends them with it; the rest is for a machine that is busy. It is less than DRAIN_TIMEOUT
// (20 s) and PLUGIN_DRAIN_TIMEOUT (25 s) last by default: children that wait for the calls of a
// host that has ended, or that nobody ends, are seen.
const childrenEnd = 15 * time.Second

// life is a daemon with children of its own.
type life struct {
	*served
	dir   string // its PLUGIN_DIR
	tmp   string // its TMPDIR, which tells its children from all other processes
	calls sync.WaitGroup
}

// ending is a way in which a daemon ends. It returns when the daemon was told.
type ending struct {
	name    string
	command string // "" is basic
	tell    func(t *testing.T, l *life)
}

func endings() []ending {
	signals := func(each ...os.Signal) func(*testing.T, *life) {
		return func(t *testing.T, l *life) {
			for i, sig := range each {
				if i > 0 {
					time.Sleep(2 * time.Millisecond) // as a supervisor that is in a hurry
				}
				l.signal(t, sig)
			}
		}
	}
	return []ending{
		{"HUP", "", signals(syscall.SIGHUP)},
		{"QUIT", "", signals(syscall.SIGQUIT)},
		{"KILL", "", signals(syscall.SIGKILL)},
		{"INT twice", "", signals(os.Interrupt, os.Interrupt)},
		{"TERM again in the drain", "", interruptDrain},
		{"closed stdout", "", closeStdout},
		{"panic", hostName, signals(signalPanic)},
		{"os.Exit", hostName, signals(signalExit)},
	}
}

// TestChildrenEndWithTheirHost ends daemons in every way that there is: no child
// and no socket may be left.
func TestChildrenEndWithTheirHost(t *testing.T) {
	// Under nohup this process was started with SIGHUP ignored, and so would be the
	// hosts, which heed that. What is caught here is as usual there.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
	for i, way := range endings() {
		t.Run(way.name, func(t *testing.T) {
			if *lives == 0 {
				t.Parallel()
				// Every setting comes with half of the ways.
				endOnce(t, way, 1+2*(i%2), 1+i/2%2, i/2%2 == 0)
				return
			}
			for _, children := range []int{1, 20} {
				for _, version := range []int{1, 2} {
					for _, busy := range []bool{false, true} {
						for range *lives {
							endOnce(t, way, children, version, busy)
						}
					}
				}
			}
		})
	}
}

// slowest is the longest time that children have outlived their host by.
var slowest struct {
	sync.Mutex
	took time.Duration
}

// endedWithin logs a time that is longer than all before: the bound is far above what is usual,
// and children that come to need more are to be seen.
func endedWithin(t *testing.T, took time.Duration) {
	t.Helper()
	slowest.Lock()
	defer slowest.Unlock()
	if took > slowest.took {
		slowest.took = took
		t.Logf("the longest time so far that children have outlived their host by is %v", took.Round(time.Millisecond))
	}
}

func endOnce(t *testing.T, way ending, children, version int, busy bool) {
	t.Helper()
	l := newLife(t, way.command, children, version)
	if busy {
		for i := range children {
			l.callOn(t, i)
		}
	}
	way.tell(t, l)
	late := time.AfterFunc(patience, func() { _ = l.cmd.Process.Kill() })
	for range l.lines { // until it has ended
		continue
	}
	if !late.Stop() {
		t.Errorf("the host did not end within %v", patience)
	}
	_ = l.cmd.Wait()
	began := time.Now()
	setting := fmt.Sprintf("%d children, version %d, under calls %v", children, version, busy)
	for len(l.left(t)) > 0 && time.Since(began) < childrenEnd {
		time.Sleep(5 * time.Millisecond)
	}
	endedWithin(t, time.Since(began))
	for _, pid := range l.left(t) {
		t.Errorf("%s: child %d has outlived its host by %v", setting, pid, childrenEnd)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if files, err := os.ReadDir(l.tmp); err != nil || len(files) > 0 {
		t.Errorf("%s: left in the temporary directory: %v, %v", setting, files, err)
	}
	l.calls.Wait()
}

// newLife starts a daemon and waits until its children are ready.
func newLife(t *testing.T, command string, children, version int) *life {
	t.Helper()
	l := &life{dir: t.TempDir(), tmp: t.TempDir()}
	for i := range children {
		l.addPlugin(t, childName(i))
	}
	path := filepath.Join(bin, "basic")
	if command != "" {
		path = roleOf(t, command)
	}
	l.served = serveHostAt(t, path, "PLUGIN_DIR="+l.dir, "TMPDIR="+l.tmp, "CONTRACT_VERSIONS="+strconv.Itoa(version), "ATTACH_TIMEOUT="+patience.String())
	eventually(t, func() error {
		body, err := l.get("/api/v1/plugins")
		if got := strings.Count(body, `"state":"READY"`); err == nil && got < children {
			err = fmt.Errorf("%d of %d children are ready: %s", got, children, body)
		}
		return err
	})
	return l
}

func childName(i int) string { return fmt.Sprintf("child%d", i) }

func (l *life) addPlugin(t *testing.T, name string) {
	t.Helper()
	if err := os.Symlink(roleOf(t, pluginName), filepath.Join(l.dir, name+".po")); err != nil {
		t.Fatal(err)
	}
}

// roleOf is a name for this test binary by which it plays a role.
func roleOf(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func (l *life) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := l.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// closeStdout goes away as whoever reads the daemon's output, and has it write.
func closeStdout(t *testing.T, l *life) {
	if err := l.stdout.Close(); err != nil {
		t.Fatal(err)
	}
	l.addPlugin(t, "late") // It will be greeted.
}

// interruptDrain tells the daemon to end while a call is under way, and then not to
// wait for it.
func interruptDrain(t *testing.T, l *life) {
	l.calls.Go(func() { _ = l.call(childName(0), waitForever) })
	eventually(t, func() error {
		metrics, err := l.get("/metrics")
		if err == nil && !strings.Contains(metrics, `reattach_calls_in_flight{plugin="child0"} `) {
			err = errors.New("the call is not under way")
		}
		return err
	})
	l.signal(t, syscall.SIGTERM)
	eventually(t, func() error {
		if _, err := l.get("/healthz"); err == nil {
			return errors.New("it does not drain")
		}
		return nil
	})
	l.signal(t, syscall.SIGTERM)
}

// callOn calls a child over and over until the daemon ends.
func (l *life) callOn(t *testing.T, i int) {
	t.Helper()
	if err := l.call(childName(i), "Ada"); err != nil {
		t.Fatal(err)
	}
	l.calls.Go(func() {
		for l.call(childName(i), "Ada") == nil {
			continue
		}
	})
}

func (l *life) call(plugin, name string) error {
	answer, err := http.Post(l.url+"/api/v1/plugins/"+plugin+"/kinds/greeter/methods/Greet", "application/json",
		strings.NewReader(`["`+name+`"]`))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s, %w", answer.Status, body, err)
	}
	return nil
}

func (l *life) get(path string) (string, error) {
	answer, err := http.Get(l.url + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// left gives the processes that have inherited the daemon's temporary directory.
func (l *life) left(t *testing.T) []int {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range processes {
		environ, _ := os.ReadFile(path) // It may just have ended.
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil && bytes.Contains(environ, []byte("TMPDIR="+l.tmp+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}
