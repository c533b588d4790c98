// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// silentPlugin is a process whose address answers nothing.
func silentPlugin(t *testing.T, protocol plugin.Protocol) (cfg *plugin.ClientConfig, process *os.Process) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-waited
	})
	answers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answers.Close() })
	cfg = childConfig("")
	cfg.Cmd, cfg.AllowedProtocols = nil, []plugin.Protocol{protocol}
	cfg.Reattach = &plugin.ReattachConfig{
		Addr: testkit.SilentServer(t), Protocol: protocol, ReattachFunc: cmdrunner.ReattachFunc(cmd.Process.Pid, answers.Addr()),
	}
	return cfg, cmd.Process
}

// dialSilent lets a client connect to such a plugin. opened gets what comes of it.
func dialSilent(t *testing.T, cfg *plugin.ClientConfig) (client *plugin.Client, opened chan error) {
	t.Helper()
	cfg.DialTimeout = time.Hour
	client = plugin.NewClient(cfg)
	opened = make(chan error, 1)
	go func() {
		_, err := client.Client()
		opened <- err
	}()
	port := cfg.Reattach.Addr.(*net.TCPAddr).Port
	testkit.AwaitSYN(t, port)
	return client, opened
}

// TestKillBesideDial kills a plugin that another goroutine is connecting to.
func TestKillBesideDial(t *testing.T) {
	t.Parallel()
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			cfg, process := silentPlugin(t, protocol)
			client, opened := dialSilent(t, cfg)
			mustReturn(t, "Kill", client.Kill)
			if err := <-opened; err == nil && protocol == plugin.ProtocolNetRPC { // gRPC connects later.
				t.Error("connected to a server that is silent")
			}
			if isRunning(process.Pid) {
				t.Error("the process runs on")
			}
		})
	}
}

// TestEndBesideDial ends the process of such a plugin.
func TestEndBesideDial(t *testing.T) {
	cfg, process := silentPlugin(t, plugin.ProtocolNetRPC)
	client, opened := dialSilent(t, cfg)
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	mustReturn(t, "the end of the process", func() { <-client.Done() })
	if err := <-opened; err == nil {
		t.Error("connected to a server that is silent")
	}
}

// TestDialTimeoutOfLocalPlugin holds that connecting has a deadline of its own.
func TestDialTimeoutOfLocalPlugin(t *testing.T) {
	cfg, process := silentPlugin(t, plugin.ProtocolNetRPC)
	cfg.DialTimeout = 100 * time.Millisecond
	client := plugin.NewClient(cfg)
	mustReturn(t, "Client", func() {
		if _, err := client.Client(); err == nil {
			t.Error("connected to a server that is silent")
		}
	})
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-client.Done()
}
