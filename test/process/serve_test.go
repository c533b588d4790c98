// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// served is a basic serve that runs.
type served struct {
	cmd    *exec.Cmd
	stdout io.Closer   // the test's end of its stdout
	lines  chan string // of its stdout
	url    string
}

// serveHost starts basic serve and waits until its API listens.
func serveHost(t *testing.T, env ...string) *served {
	t.Helper()
	return serveHostAt(t, filepath.Join(bin, "basic"), env...)
}

// serveHostAt does so with another host of the same command line.
func serveHostAt(t *testing.T, path string, env ...string) *served {
	t.Helper()
	s := &served{cmd: exec.Command(path, "serve"), lines: make(chan string, 100)}
	s.cmd.Env = environment(append([]string{"BASIC_LISTEN=127.0.0.1:0"}, env...)...)
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdout = stdout
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	go func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	address := make(chan string, 1)
	go func() {
		said := regexp.MustCompile(`serving HTTP: address=(\S+)`)
		for scan := bufio.NewScanner(stderr); scan.Scan(); {
			if m := said.FindStringSubmatch(scan.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	select {
	case a := <-address:
		s.url = "http://" + a
	case <-time.After(patience):
		t.Fatal("basic serve does not say where it listens")
	}
	return s
}

// end sends a signal, and gives the exit code and how long the end took.
func (s *served) end(t *testing.T, sig os.Signal) (int, time.Duration) {
	t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	for range s.lines {
		continue
	}
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode(), time.Since(began)
}

// command runs basic with arguments to its end.
func command(t *testing.T, args []string, env ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := run(exec.CommandContext(ctx, filepath.Join(bin, "basic"), args...), env...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestServe greets each plugin as it attaches, answers clients, and ends in order:
// its child with it, the network plugin not.
func TestServe(t *testing.T) {
	p := startNetworkPlugin(t, "greeter-zh.po")
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "greeter-en.po"), filepath.Join(dir, "greeter-en.po")); err != nil {
		t.Fatal(err)
	}
	s := serveHost(t, "GREET_NAME=Ada", "PLUGIN_DIR="+dir, "NETWORK_PLUGIN=pluginzh="+p.address())
	greeted := map[string]bool{}
	for range 6 {
		select {
		case line := <-s.lines:
			greeted[line] = true
		case <-time.After(patience):
			t.Fatalf("it greeted %v only", greeted)
		}
	}
	want := map[string]bool{
		"greeter-en  greet: Hello Ada":       true,
		"greeter-en  hi: Hi there! =2=":      true,
		"greeter-en  pingponger: not served": true,
		"pluginzh  greet: 您好 Ada":            true,
		"pluginzh  hi: 大家好！=2=":              true,
		"pluginzh  ping: pong!":              true,
	}
	if diff := cmp.Diff(want, greeted); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	client := "BASIC_SERVER=" + s.url
	if got := command(t, []string{"call", "pluginzh", "greeter.Greet", "Bob"}, client); got != (outcome{Stdout: "\"您好 Bob\"\n"}) {
		t.Errorf("call: %+v", got)
	}
	// With the environment of its container, as by kubectl exec, a command asks it too.
	own := []string{"PLUGIN_DIR=", "KUBE_SELECTOR=reattach.dev/plugin", "BASIC_LISTEN=:" + s.url[strings.LastIndex(s.url, ":")+1:]}
	if got := command(t, []string{"plugins"}, own...); got.Code != 0 || !strings.Contains(got.Stdout, "pluginzh") || got.Stderr != "" {
		t.Errorf("plugins in the daemon's container: %+v", got)
	}
	listed := command(t, []string{"plugins", "-o", "json"}, client)
	var list struct {
		Plugins []struct {
			Name      string
			Kinds     []string
			Endpoints []struct{ State, Instance string }
		}
	}
	if err := json.Unmarshal([]byte(listed.Stdout), &list); err != nil || len(list.Plugins) != 2 || listed.Code != 0 {
		t.Fatalf("plugins: %+v, %v", listed, err)
	}
	// A child does not tell what it serves, and has answered.
	if diff := cmp.Diff([]string{"greeter"}, list.Plugins[0].Kinds); diff != "" {
		t.Errorf("kinds of the child (-want +got)\n%s", diff)
	}
	child, err := strconv.Atoi(strings.TrimPrefix(list.Plugins[0].Endpoints[0].Instance, "pid "))
	if err != nil {
		t.Fatal(err)
	}
	if code, took := s.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with code %d after %v", code, took)
	}
	if err := syscall.Kill(child, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child %d outlived its host: %v", child, err)
	}
	if got := command(t, []string{"call", "pluginzh", "pingponger.Ping"}, "PLUGIN_DIR=", "NETWORK_PLUGIN=pluginzh="+p.address()); got.Code != 0 {
		t.Errorf("the network plugin did not outlive its host: %+v", got)
	}
}

// TestCommands runs what people type, and looks at codes and streams.
func TestCommands(t *testing.T) {
	p := startNetworkPlugin(t, "greeter-zh.po")
	direct := []string{"PLUGIN_DIR=", "NETWORK_PLUGIN=zh=" + p.address()}
	gone := []string{"PLUGIN_DIR=", "NETWORK_PLUGIN=zh=127.0.0.1:1", "CALL_TIMEOUT=1s"}
	cases := map[string]struct {
		reason         string
		args, env      []string
		code           int
		stdout, stderr string // what they must hold; "" is nothing at all
	}{
		"call":               {"the result is JSON", []string{"call", "zh", "greeter.Hi", "3"}, direct, 0, "\"大家好！=3=\"\n", ""},
		"call by name":       {"an object names arguments", []string{"call", "zh", "greeter.Greet", `{"name":"Ada"}`}, direct, 0, `"您好 Ada"`, ""},
		"wrong argument":     {"the signature is named", []string{"call", "zh", "greeter.Hi", "x"}, direct, 2, "", "Hi(times int)"},
		"bytes":              {"they would arrive as others", []string{"call", "zh", "greeter.Greet", "a\xff"}, direct, 2, "", "argument 1 of greeter.Greet is not valid UTF-8"},
		"unknown plugin":     {"the known ones are named", []string{"call", "x", "greeter.Hi", "1"}, direct, 2, "", "known are zh"},
		"no method":          {"the form is shown", []string{"call", "zh", "greeter"}, direct, 2, "", "KIND.METHOD"},
		"call nobody":        {"nobody listens", []string{"call", "zh", "greeter.Hi", "1"}, gone, 3, "", "connection refused"},
		"nothing named":      {"nobody is there to ask", []string{"call", "zh", "greeter.Hi", "1"}, []string{"BASIC_LISTEN=127.0.0.1:1"}, 3, "", "no daemon answers at 127.0.0.1:1"},
		"plugins":            {"a table", []string{"plugins"}, direct, 0, "greeter,pingponger   network     0          ok", ""},
		"plugins wide":       {"a line for each endpoint", []string{"plugins", "-o", "wide"}, direct, 0, "READY", ""},
		"plugins yaml":       {"for tools", []string{"plugins", "-o", "yaml"}, direct, 0, "- name: zh", ""},
		"plugins not ready":  {"the code says so", []string{"plugins"}, gone, 3, "connection refused", ""},
		"plugins bad output": {"the choice is named", []string{"plugins", "-o", "xml"}, direct, 2, "", "table, wide, json or yaml"},
		"no daemon":          {"it cannot be asked", []string{"plugins", "--server", "127.0.0.1:1"}, nil, 3, "", "connection refused"},
		"probe":              {"every hop is told", []string{"probe", p.address()}, direct, 0, "ok    ping", ""},
		"probe nobody":       {"the hop that fails is named", []string{"probe", "127.0.0.1:1"}, direct, 3, "FAIL  connect", ""},
		"probe no address":   {"an address has a port", []string{"probe", "x"}, direct, 2, "", "host:port"},
		"version":            {"Go's version at least", []string{"version"}, nil, 0, "go1.", ""},
		"completion":         {"a script", []string{"completion", "bash"}, nil, 0, "basic", ""},
		"help":               {"the environment is in it", []string{"--help"}, nil, 0, "NETWORK_PLUGIN", ""},
		"unknown command":    {"it is quoted", []string{"greet"}, nil, 2, "", `"greet"`},
		"unknown flag":       {"likewise", []string{"plugins", "--loud"}, nil, 2, "", "--loud"},
		"serve, no place":    {"the variable is named", []string{"serve"}, []string{"PLUGIN_DIR=/does/not/exist"}, 2, "", "PLUGIN_DIR"},
		"profiles for all":   {"they show what is in memory", []string{"serve"}, append([]string{"BASIC_PPROF=0.0.0.0:0"}, direct...), 2, "", "BASIC_PPROF"},
		"another log format": {"the two are named", []string{"serve"}, append([]string{"LOG_FORMAT=xml"}, direct...), 2, "", "text or json"},
		"serve everywhere":   {"calls would be open to all", []string{"serve"}, append([]string{"BASIC_LISTEN=0.0.0.0:0"}, direct...), 2, "", "token"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := command(t, tc.args, tc.env...)
			if got.Code != tc.code || !holds(got.Stdout, tc.stdout) || !holds(got.Stderr, tc.stderr) {
				t.Errorf("%s: got %+v, want code %d, stdout %q, stderr %q", tc.reason, got, tc.code, tc.stdout, tc.stderr)
			}
		})
	}
}

func holds(text, part string) bool {
	if part == "" {
		return text == ""
	}
	return strings.Contains(text, part)
}

// TestWatch follows a daemon whose plugin goes away.
func TestWatch(t *testing.T) {
	p := startNetworkPlugin(t, "greeter-zh.po")
	s := serveHost(t, "PLUGIN_DIR=", "NETWORK_PLUGIN=zh="+p.address())
	cmd := exec.Command(filepath.Join(bin, "basic"), "plugins", "--watch", "--server", s.url)
	cmd.Env = environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	until := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("%q was not shown: %v\n%s", part, lines.Err(), &stderr)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	until("1/1")
	p.end(t, syscall.SIGTERM)
	until("0/1")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		continue
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the watch ended with %v\n%s", err, &stderr)
	}
	if code, _ := s.end(t, os.Interrupt); code != 0 {
		t.Errorf("basic serve ended with code %d", code)
	}
}
