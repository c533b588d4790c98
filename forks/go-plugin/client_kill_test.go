// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

func TestKillGivesUpStart(t *testing.T) {
	cfg := childConfig("mute")
	cfg.StartTimeout = 20 * time.Second
	client := plugin.NewClient(cfg)
	started := make(chan error, 1)
	go func() {
		_, err := client.Start()
		started <- err
	}()
	testkit.Eventually(t, "the child runs", func() bool { return client.ID() != "" })
	client.Kill()
	if err := <-started; err == nil || !strings.Contains(err.Error(), "killed while it started") {
		t.Errorf("Start = %v, want to be told of Kill", err)
	}
	if pid := cfg.Cmd.Process.Pid; isRunning(pid) {
		t.Errorf("process %d is left behind", pid)
	}
	client.Kill()
}

// TestKillLeavesTestMode reattaches to a plugin that ends itself: Kill does
// nothing.
func TestKillLeavesTestMode(t *testing.T) {
	process := exec.Command("sleep", "600")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	cfg := childConfig("")
	cfg.Cmd, cfg.Plugins = nil, plugin.PluginSet{"echo": &echoPlugin{impl: newEchoImpl()}}
	configs := make(chan *plugin.ReattachConfig, 1)
	closed := make(chan struct{})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: testHandshake, Plugins: cfg.Plugins, Logger: cfg.Logger,
		Test: &plugin.ServeTestConfig{ReattachConfigCh: configs, CloseCh: closed},
	})
	cfg.Reattach = <-configs
	cfg.Reattach.Pid = process.Process.Pid // This one would never end.
	client := plugin.NewClient(cfg)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	client.Kill()
	if err := protocol.Ping(); err != nil {
		t.Errorf("Ping after Kill: %v", err)
	}
	if client.Exited() || client.Err() != nil || client.ID() != "" {
		t.Errorf("exited %v, %v, ID %q", client.Exited(), client.Err(), client.ID())
	}
	if err := protocol.Close(); err != nil {
		t.Error(err)
	}
	<-closed
	_ = process.Process.Kill()
	_ = process.Wait()
	<-client.Done()
}

// TestReattachTriesAgain holds that a process that is not there is told in the
// one way that hosts look for, and that it may be there later.
func TestReattachTriesAgain(t *testing.T) {
	owner := plugin.NewClient(childConfig("echo"))
	defer owner.Kill()
	if _, err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	running := owner.ReattachConfig()
	cfg := childConfig("echo")
	cfg.Cmd, cfg.Reattach = nil, &plugin.ReattachConfig{Pid: 1 << 30, Addr: running.Addr}
	client := plugin.NewClient(cfg)
	if _, err := client.Start(); err != plugin.ErrProcessNotFound {
		t.Errorf("Start = %v, want ErrProcessNotFound itself", err)
	}
	*cfg.Reattach = *running
	if _, err := client.Start(); err != nil {
		t.Errorf("Start once the process is there: %v", err)
	}
	client.Kill()
}
