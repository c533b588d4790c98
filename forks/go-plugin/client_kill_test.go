// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"syscall"
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
	if pid := cfg.Cmd.Process.Pid; syscall.Kill(pid, 0) == nil {
		t.Errorf("process %d is left behind", pid)
	}
	client.Kill()
}

// TestKillLeavesTestMode reattaches to a plugin that ends itself.
func TestKillLeavesTestMode(t *testing.T) {
	p := serveEcho(t, nil)
	cfg := p.clientConfig()
	cfg.Reattach.Test = true
	cfg.Reattach.Pid = syscall.Getpid()
	client := NewClient(cfg)
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	client.Kill()
	if err := client.Err(); client.Exited() || !errors.Is(err, ErrDetached) {
		t.Errorf("exited %v with %v, want to be detached only", client.Exited(), err)
	}
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
		if err := newGobDecoder(control).Decode(&rpc.Request{}); err != nil {
			t.Error(err)
		}
		_ = child.Close()
	})
	if err := client.Close(); err != nil {
		t.Errorf("Close = %v: the child would be killed while it ends", err)
	}
}
