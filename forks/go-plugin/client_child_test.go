// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// envRole makes the test binary play a plugin instead of running tests.
const envRole = "TEST_PLUGIN_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		playPlugin(role)
		return
	}
	// Tests that are parallel wait for bounds of seconds: more of them at once than there are
	// processors. What -parallel says comes after it, and counts.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// playPlugin is main of the plugin processes of these tests.
func playPlugin(role string) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
	opts := &plugin.ServeConfig{
		HandshakeConfig: testHandshake,
		Plugins:         plugin.PluginSet{"echo": &echoPlugin{impl: newEchoImpl()}},
		Logger:          logger,
	}
	switch role {
	case "echo":
		logger.Info("the plugin logs", "answer", 42)
	case "stdio":
		opts.Plugins["echo"] = &printingPlugin{echoPlugin{impl: newEchoImpl()}}
	case "logging":
		opts.Plugins["echo"] = &loggingPlugin{echoPlugin{impl: newEchoImpl()}, logger.Named("mine")}
	case "environ":
		opts.Plugins["echo"] = &environPlugin{}
	case "gob":
		gob.Register(OnlyOfPlugin{})
		opts.Plugins = plugin.PluginSet{"gob": &gobPlugin{}}
	case "relay":
		opts.Plugins, opts.GRPCServer = plugin.PluginSet{"relay": newRelay("child")}, plugin.DefaultGRPCServer
	case "poison":
		opts.Plugins = plugin.PluginSet{"poison": &poisonPlugin{}}
	case "poison gRPC":
		opts.Plugins, opts.GRPCServer = plugin.PluginSet{"poison": poisonRelay{}}, plugin.DefaultGRPCServer
	case "mounts":
		opts.Plugins, opts.VersionedPlugins, opts.GRPCServer = nil, mountVersions(), plugin.DefaultGRPCServer
	case "crash":
		fmt.Fprintln(os.Stderr, "[WARN] about to crash")
		panic("the plugin crashes at start")
	case "print-netrpc", "print-grpc":
		playPrinter(plugin.Protocol(strings.TrimPrefix(role, "print-")))
		return
	case "mute":
		_, _ = io.Copy(io.Discard, os.Stdin)
		select {}
	}
	if to := floodTo(role, logger); to != nil {
		opts.Plugins["echo"] = &floodingPlugin{echoPlugin{impl: newEchoImpl()}, to}
	}
	plugin.Serve(opts)
}

// printingPlugin writes to the standard streams whenever it is dispensed.
type printingPlugin struct{ echoPlugin }

func (p *printingPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	fmt.Println("to stdout")
	fmt.Fprintln(os.Stderr, "to stderr")
	return p.echoPlugin.Server(b)
}

// environPlugin answers Echo with the variable of that name.
type environPlugin struct{ echoPlugin }

func (p *environPlugin) Server(*plugin.MuxBroker) (interface{}, error) { return environServer{}, nil }

type environServer struct{}

func (environServer) Echo(name string, value *string) error {
	*value = os.Getenv(name)
	return nil
}

// childConfig starts this test binary in a role.
func childConfig(role string) *plugin.ClientConfig {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{envRole + "=" + role}
	return &plugin.ClientConfig{
		HandshakeConfig: testHandshake,
		Plugins:         plugin.PluginSet{"echo": &echoPlugin{}},
		Cmd:             cmd,
		Logger:          hclog.NewNullLogger(),
	}
}

func TestChild(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*plugin.ClientConfig)
	}{
		"plain":    {"the way nearly every plugin in the world is run", func(*plugin.ClientConfig) {}},
		"AutoMTLS": {"both sides authenticate each other", func(c *plugin.ClientConfig) { c.AutoMTLS = true }},
		"bare environment": {"SkipHostEnv leaves only what the handshake needs",
			func(c *plugin.ClientConfig) { c.SkipHostEnv = true }},
		"private socket directory": {"sockets go where the host wants them",
			func(c *plugin.ClientConfig) {
				c.UnixSocketConfig = &plugin.UnixSocketConfig{Group: fmt.Sprint(os.Getgid())}
			}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			tc.change(cfg)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if reply, err := dispenseEcho(t, protocol).Via("both ways"); reply != "both ways" || err != nil {
				t.Errorf("%s: Via = %q, %v", tc.reason, reply, err)
			}
			pid := cfg.Cmd.Process.Pid
			client.WaitForEnd()
			client.Kill()
			if !client.Exited() {
				t.Error("not exited after Kill")
			}
			if isRunning(pid) {
				t.Errorf("process %d runs after Kill", pid)
			}
			if code := cfg.Cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("child exited with %d, want 0: it was asked to end, not killed", code)
			}
		})
	}
}

// TestChildOfNetworkHost is a host that is a network plugin itself, or runs in
// a pod that sets these variables for it.
func TestChildOfNetworkHost(t *testing.T) {
	for _, name := range env.Network() {
		t.Setenv(name, "of the host")
	}
	t.Setenv(env.Host, "true")
	t.Setenv(env.HealthAddr, "256.0.0.1:1")
	for name, change := range map[string]func(*plugin.ClientConfig){
		"inherited": func(*plugin.ClientConfig) {},
		"copied":    func(c *plugin.ClientConfig) { c.Cmd.Env = append(os.Environ(), c.Cmd.Env...) },
		"copied, nothing inherited": func(c *plugin.ClientConfig) {
			c.Cmd.Env, c.SkipHostEnv = append(os.Environ(), c.Cmd.Env...), true
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			change(cfg)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			addr, err := client.Start()
			if err != nil {
				t.Fatal(err)
			}
			if addr.Network() != "unix" {
				t.Errorf("child listens on %s %s, want a unix socket", addr.Network(), addr)
			}
		})
	}
}

// TestEnvOfNetworkChild starts a child in network mode from a host that is in
// network mode: what the host chose for the child is the child's.
func TestEnvOfNetworkChild(t *testing.T) {
	t.Setenv(env.Host, "true")
	t.Setenv(env.HealthAddr, "256.0.0.1:1")
	cfg := childConfig("echo")
	cfg.Cmd.Env = append(os.Environ(), append(cfg.Cmd.Env, env.Host+"=127.0.0.1")...)
	client := plugin.NewClient(cfg)
	defer client.Kill()
	addr, err := client.Start()
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(addr.String()); addr.Network() != "tcp" || host != "127.0.0.1" {
		t.Errorf("child listens on %s %s, want the address that its host chose", addr.Network(), addr)
	}
}

func TestChildFailsToStart(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "plain.po")
	if err := os.WriteFile(notExecutable, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		change func(*plugin.ClientConfig)
		want   string
	}{
		"crash": {
			reason: "what a crashed child wrote is in the log, the error says that there was no line",
			change: func(c *plugin.ClientConfig) { c.Cmd.Env = []string{envRole + "=crash"} },
			want:   "Unrecognized remote plugin message",
		},
		"silence": {
			reason: "StartTimeout ends the wait",
			change: func(c *plugin.ClientConfig) {
				c.Cmd.Env = []string{envRole + "=mute"}
				c.StartTimeout = 300 * time.Millisecond
			},
			want: "timeout while waiting for plugin to start",
		},
		"no plugin": {
			reason: "an executable that is something else is quoted",
			change: func(c *plugin.ClientConfig) { c.Cmd = exec.Command("echo", "hello there") },
			want:   "hello there",
		},
		"not executable": {
			reason: "the operating system's reason is passed on",
			change: func(c *plugin.ClientConfig) { c.Cmd = exec.Command(notExecutable) },
			want:   "permission denied",
		},
		"other version": {
			reason: "the words are those that people know",
			change: func(c *plugin.ClientConfig) { c.ProtocolVersion = 2 },
			want:   "incompatible API version with plugin. Plugin version: 1, Client versions: [2]",
		},
		"checksum": {
			reason: "an executable that was replaced is not started",
			change: func(c *plugin.ClientConfig) {
				c.SecureConfig = &plugin.SecureConfig{Checksum: []byte("not it"), Hash: sha256.New()}
			},
			want: plugin.ErrChecksumsDoNotMatch.Error(),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			tc.change(cfg)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			_, err := client.Start()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%s: error %v, want %q", tc.reason, err, tc.want)
			}
			if _, again := client.Start(); again == nil || again.Error() != err.Error() {
				t.Errorf("second Start: %v, want the first one's error", again)
			}
			if p := cfg.Cmd.Process; p != nil && isRunning(p.Pid) {
				t.Errorf("process %d is left behind", p.Pid)
			}
		})
	}
}

func TestChildOutput(t *testing.T) {
	var log, stdout, stderr lockedBuffer
	cfg := childConfig("stdio")
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace, DisableTime: true})
	cfg.SyncStdout, cfg.SyncStderr = &stdout, &stderr
	client := plugin.NewClient(cfg)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	dispenseEcho(t, protocol)
	testkit.Eventually(t, "the child's output arrives", func() bool {
		return strings.HasSuffix(stdout.String(), "to stdout\n") && strings.HasSuffix(stderr.String(), "to stderr\n")
	})
	client.Kill()
	if !strings.Contains(log.String(), "plugin address") {
		t.Errorf("the child's log did not arrive:\n%s", log.String())
	}
}

func TestReattachByPid(t *testing.T) {
	owner := plugin.NewClient(childConfig("echo"))
	defer owner.Kill()
	if _, err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	cfg := childConfig("echo")
	cfg.Cmd, cfg.Reattach = nil, owner.ReattachConfig()
	other := plugin.NewClient(cfg)
	protocol, err := other.Client()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dispenseEcho(t, protocol).Echo("found"); err != nil {
		t.Error(err)
	}
	other.Kill()
	testkit.Eventually(t, "the process has ended, as upstream's Kill does it", owner.Exited)
}

// TestNetworkProcess is a plugin as it runs in a pod: started with its cookie
// and PLUGIN_HOST, found by its printed line, ended by SIGTERM.
func TestNetworkProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=stdio", "TEST_PLUGIN=hello", env.Host+"=127.0.0.1", env.HealthAddr+"=127.0.0.1:0")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	output := bufio.NewReader(pipe)
	first, err := output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	line, err := child.ParseLine(first)
	if err != nil || line.Network != "tcp" {
		t.Fatalf("first line %q: %+v, %v", first, line, err)
	}
	addr, err := net.ResolveTCPAddr("tcp", line.Address)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		session, err := plugin.Attach(t.Context(), (&servedPlugin{addr: addr}).clientConfig())
		if err != nil {
			t.Fatal(err)
		}
		dispenseEcho(t, session)
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0", err)
	}
	// One dispense each, and one at start to learn the methods.
	if got := strings.Count(string(rest), "to stdout\n"); got != 4 {
		t.Errorf("the container's stdout has %d lines of the plugin, want 4:\n%s", got, rest)
	}
}

func TestStartedByHand(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{envRole + "=echo"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("exit: %v, want code 1", err)
	}
	if !regexp.MustCompile(`(?s)binary is a plugin.*TEST_PLUGIN.*PLUGIN_HOST`).MatchString(stderr.String()) {
		t.Errorf("explanation: %q", stderr.String())
	}
	if strings.Contains(stderr.String(), testHandshake.MagicCookieValue) {
		t.Error("the explanation tells the cookie's value")
	}
}

// lockedBuffer is a buffer that a logger may write to while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
