// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"encoding/gob"
	"errors"
	"net"
	"net/rpc"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
)

func TestKillGivesUpStart(t *testing.T) {
	cfg := childConfig("mute")
	cfg.StartTimeout = 20 * time.Second
	client := NewClient(cfg)
	started := make(chan error, 1)
	go func() {
		_, err := client.Start()
		started <- err
	}()
	eventually(t, "the child runs", func() bool { return client.ID() != "" })
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
	cfg.Cmd, cfg.Plugins = nil, PluginSet{"echo": &echoPlugin{impl: newEchoImpl()}}
	configs := make(chan *ReattachConfig, 1)
	closed := make(chan struct{})
	go Serve(&ServeConfig{
		HandshakeConfig: testHandshake, Plugins: cfg.Plugins, Logger: cfg.Logger,
		Test: &ServeTestConfig{ReattachConfigCh: configs, CloseCh: closed},
	})
	cfg.Reattach = <-configs
	cfg.Reattach.Pid = process.Process.Pid // This one would never end.
	client := NewClient(cfg)
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
	owner := NewClient(childConfig("echo"))
	defer owner.Kill()
	if _, err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	running := owner.ReattachConfig()
	cfg := childConfig("echo")
	cfg.Cmd, cfg.Reattach = nil, &ReattachConfig{Pid: 1 << 30, Addr: running.Addr}
	client := NewClient(cfg)
	if _, err := client.Start(); err != ErrProcessNotFound {
		t.Errorf("Start = %v, want ErrProcessNotFound itself", err)
	}
	*cfg.Reattach = *running
	if _, err := client.Start(); err != nil {
		t.Errorf("Start once the process is there: %v", err)
	}
	client.Kill()
}

// childOverPipe is the host's end of a net/rpc child; serve gets the child's
// control stream.
func childOverPipe(t *testing.T, serve func(control net.Conn, child *yamux.Session)) *RPCClient {
	t.Helper()
	here, there := net.Pipe()
	child, err := yamux.Server(there, yamuxConfig(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Close() })
	go func() {
		var streams [3]net.Conn
		for i := range streams {
			stream, err := child.Accept()
			if err != nil {
				return
			}
			streams[i] = stream
		}
		serve(streams[0], child)
	}()
	client, err := NewRPCClient(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A child that hangs must not hold up the Kill that it needs.
func TestQuitOfHungChildIsBounded(t *testing.T) {
	t.Parallel() // It takes shutdownWait.
	client := childOverPipe(t, func(net.Conn, *yamux.Session) {})
	if err := client.Close(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v, want to be told that no answer came in time", err)
	}
}

// A child that ends may be gone before its answer is.
func TestQuitWithoutAnswerIsNoError(t *testing.T) {
	client := childOverPipe(t, func(control net.Conn, child *yamux.Session) {
		if err := gob.NewDecoder(boundGob(control, 0)).Decode(&rpc.Request{}); err != nil {
			t.Error(err)
		}
		_ = child.Close()
	})
	if err := client.Close(); err != nil {
		t.Errorf("Close = %v: the child would be killed while it ends", err)
	}
}
