// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/runner"
)

// haltedWriter takes what is written until it is halted, and then nothing more for as
// long as the test runs.
type haltedWriter struct{ halted, reached, freed chan struct{} }

func newHaltedWriter(t *testing.T) *haltedWriter {
	w := &haltedWriter{make(chan struct{}), make(chan struct{}, 1), make(chan struct{})}
	t.Cleanup(func() { close(w.freed) })
	return w
}

func (w *haltedWriter) Write(p []byte) (int, error) {
	select {
	case <-w.halted:
	default:
		return len(p), nil
	}
	select {
	case w.reached <- struct{}{}:
	default:
	}
	<-w.freed
	return len(p), nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// mustReturn fails the test if f hangs.
func mustReturn(t *testing.T, what string, f func()) {
	t.Helper()
	if !child.ReturnsWithin(time.Minute, f) {
		t.Fatalf("%s does not return", what)
	}
}

// runByRunner makes the command one of a Runner of the host's own.
func runByRunner(c *plugin.ClientConfig) {
	cmd := c.Cmd
	c.Cmd = nil
	c.RunnerFunc = func(l hclog.Logger, env *exec.Cmd, _ string) (runner.Runner, error) {
		cmd.Env = append(cmd.Env, env.Env...)
		return cmdrunner.NewCmdRunner(l, cmd)
	}
}

// TestKillBesideHaltedWriter kills plugins whose output or log the host does not take
// any more.
func TestKillBesideHaltedWriter(t *testing.T) {
	t.Parallel()
	stderr := func(c *plugin.ClientConfig, w *haltedWriter) { c.Stderr = w }
	log := func(c *plugin.ClientConfig, w *haltedWriter) {
		c.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: w})
	}
	multiplexed := func(c *plugin.ClientConfig, w *haltedWriter) {
		log(c, w)
		c.GRPCBrokerMultiplex = true
	}
	synced := func(c *plugin.ClientConfig, w *haltedWriter) { c.SyncStderr = w }
	for name, tc := range map[string]struct {
		protocol plugin.Protocol
		change   func(*plugin.ClientConfig, *haltedWriter)
		runner   bool
	}{
		"Stderr, net/rpc":              {plugin.ProtocolNetRPC, stderr, false},
		"Stderr, gRPC":                 {plugin.ProtocolGRPC, stderr, false},
		"Stderr of a Runner":           {plugin.ProtocolNetRPC, stderr, true},
		"SyncStderr, net/rpc":          {plugin.ProtocolNetRPC, synced, false},
		"SyncStderr, gRPC":             {plugin.ProtocolGRPC, synced, false},
		"SyncStderr of a Runner":       {plugin.ProtocolGRPC, synced, true},
		"log of the host":              {plugin.ProtocolNetRPC, log, false},
		"log of the host, of a Runner": {plugin.ProtocolNetRPC, log, true},
		"log of the host, gRPC":        {plugin.ProtocolGRPC, log, false},
		"log of the host, multiplexed": {plugin.ProtocolGRPC, multiplexed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // They wait for bounds.
			writer := newHaltedWriter(t)
			cfg := childConfig("")
			cfg.Cmd.Env = printRole(tc.protocol)
			cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"print": &printer{}}, []plugin.Protocol{tc.protocol}
			tc.change(cfg, writer)
			cmd := cfg.Cmd
			if tc.runner {
				runByRunner(cfg)
			}
			client := plugin.NewClient(cfg)
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := protocol.Dispense("print")
			if err != nil {
				t.Fatal(err)
			}
			close(writer.halted)
			for _, n := range []int{1, logOneLine} {
				if err := raw.(*printer).call(n); err != nil {
					t.Fatal(err)
				}
			}
			mustReturn(t, "the wait for the plugin's output", func() { <-writer.reached })
			mustReturn(t, "Kill", client.Kill)
			if isRunning(cmd.Process.Pid) {
				t.Error("the process runs on")
			}
			mustReturn(t, "another Kill", client.Kill)
		})
	}
}

// TestStartFailsBesideHaltedWriter has a plugin that says something and crashes.
func TestStartFailsBesideHaltedWriter(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plugin.ClientConfig){"child": func(*plugin.ClientConfig) {}, "Runner": runByRunner} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writer := newHaltedWriter(t)
			close(writer.halted)
			cfg := childConfig("crash")
			cfg.Stderr = writer
			change(cfg)
			client := plugin.NewClient(cfg)
			mustReturn(t, "Start", func() {
				if _, err := client.Start(); err == nil {
					t.Error("a plugin that crashes was started")
				}
			})
			mustReturn(t, "Kill", client.Kill)
		})
	}
}

// TestKillBesideStartThatLogs kills a plugin whose Start waits for the host's log.
func TestKillBesideStartThatLogs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plugin.ClientConfig){"child": func(*plugin.ClientConfig) {}, "Runner": runByRunner} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writer := newHaltedWriter(t)
			cfg := childConfig("echo")
			cmd := cfg.Cmd
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: writerFunc(func(p []byte) (int, error) {
				if bytes.Contains(p, []byte("waiting for RPC address")) {
					close(writer.halted)
				}
				return writer.Write(p)
			})})
			change(cfg)
			client := plugin.NewClient(cfg)
			go func() { _, _ = client.Start() }()
			mustReturn(t, "the first line of the log", func() { <-writer.reached })
			mustReturn(t, "Kill", client.Kill)
			if isRunning(cmd.Process.Pid) {
				t.Error("the process runs on")
			}
		})
	}
}

// TestAskBesideStuckClose asks a plugin to end whose connection cannot be closed, because
// something that ends with it waits for the host's log.
func TestAskBesideStuckClose(t *testing.T) {
	client := plugin.NewClient(childConfig("echo"))
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	freed := make(chan struct{})
	if err := client.AskStuck(time.Millisecond, freed); !errors.Is(err, plugin.ErrNotAsked) {
		t.Errorf("asking gives %v, want %v", err, plugin.ErrNotAsked)
	}
	close(freed)
	client.Kill()
}

// TestOpenBesideEnd connects to a plugin that has ended meanwhile: nobody would close
// that connection.
func TestOpenBesideEnd(t *testing.T) {
	cfg := childConfig("")
	cfg.Cmd.Env, cfg.AllowedProtocols = printRole(plugin.ProtocolGRPC), []plugin.Protocol{plugin.ProtocolGRPC}
	client := plugin.NewClient(cfg)
	if _, err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer client.Kill()
	client.Unused()
	if _, err := client.Client(); !errors.Is(err, child.ErrExited) {
		t.Errorf("connecting gives %v, want %v", err, child.ErrExited)
	}
	if client.Connected() {
		t.Error("the connection is kept")
	}
}
