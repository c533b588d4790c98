// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/env"
)

// killProcess ends a process that is not this one's child.
func killProcess(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	return process.Kill()
}

// isRunning reports whether there is a process of that number.
func isRunning(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer process.Release()
	return process.Signal(syscall.Signal(0)) == nil
}

// TestClientErr holds that a client tells when a child has ended, and how.
func TestClientErr(t *testing.T) {
	cases := map[string]struct {
		reason string
		end    func(t *testing.T, c *plugin.Client, pid int)
		exit   bool // with an *exec.ExitError
	}{
		"killed by somebody": {
			reason: "the signal is in the error",
			end: func(t *testing.T, _ *plugin.Client, pid int) {
				if err := killProcess(pid); err != nil {
					t.Fatal(err)
				}
			},
			exit: true,
		},
		"asked to end": {
			reason: "a child that exits with 0 is gone all the same",
			end:    func(_ *testing.T, c *plugin.Client, _ int) { c.Kill() },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			rpc := protocol.(*plugin.RPCClient)
			if err := rpc.PingContext(t.Context()); err != nil {
				t.Errorf("ping: %v", err)
			}
			if err := client.Err(); err != nil {
				t.Errorf("%s: a child that runs has ended with %v", tc.reason, err)
			}
			tc.end(t, client, cfg.Cmd.Process.Pid)
			<-client.Done()
			<-rpc.Done()
			err = client.Err()
			var exit *exec.ExitError
			if !errors.Is(err, plugin.ErrConnectionLost) || errors.As(err, &exit) != tc.exit {
				t.Errorf("%s: %v, want ErrConnectionLost and with an exit status: %v", tc.reason, err, tc.exit)
			}
		})
	}
}

func TestClientErrOfRemotePlugin(t *testing.T) {
	p := serveEcho(t, nil)
	client := plugin.NewClient(p.clientConfig())
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	if err := client.Err(); err != nil {
		t.Errorf("before Kill: %v", err)
	}
	client.Kill()
	<-client.Done()
	if err := client.Err(); !errors.Is(err, plugin.ErrDetached) {
		t.Errorf("after Kill: %v, want ErrDetached", err)
	}
}

// TestStartErrorsAreTold holds that a host can tell what lasts from what may
// pass.
func TestStartErrorsAreTold(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*plugin.ClientConfig)
		want   error
	}{
		"no plugin":     {"it prints something else, and will do so again", func(c *plugin.ClientConfig) { c.Cmd = exec.Command("echo", "hello there") }, plugin.ErrIncompatible},
		"old core":      {"another handshake", func(c *plugin.ClientConfig) { c.Cmd = exec.Command("echo", "7|1|unix|/x|netrpc") }, plugin.ErrIncompatible},
		"other version": {"no version in common", func(c *plugin.ClientConfig) { c.ProtocolVersion = 2 }, plugin.ErrIncompatible},
		"protocol":      {"no protocol in common", func(c *plugin.ClientConfig) { c.AllowedProtocols = []plugin.Protocol{plugin.ProtocolGRPC} }, plugin.ErrIncompatible},
		"crash":         {"it may do better the next time", func(c *plugin.ClientConfig) { c.Cmd.Env = []string{envRole + "=crash"} }, plugin.ErrSaidNothing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			tc.change(cfg)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			_, err := client.Start()
			if !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", tc.reason, err, tc.want)
			}
			if tc.want != plugin.ErrIncompatible && errors.Is(err, plugin.ErrIncompatible) {
				t.Errorf("%s: %v says that it lasts", tc.reason, err)
			}
		})
	}
}

// TestAttachConn attaches over a connection that the test made itself.
func TestAttachConn(t *testing.T) {
	p := serveEcho(t, nil)
	dial := func(t *testing.T) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", p.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	cfg := p.clientConfig()
	cfg.Reattach = nil
	session, err := plugin.AttachConn(t.Context(), dial(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if reply, err := dispenseEcho(t, session).Via("both ways"); reply != "both ways" || err != nil {
		t.Errorf("Via = %q, %v", reply, err)
	}

	other := *cfg
	other.MagicCookieValue = "other"
	var refused *plugin.RefusedError
	if _, err := plugin.AttachConn(t.Context(), dial(t), &other); !errors.As(err, &refused) || !strings.Contains(err.Error(), p.addr.String()) {
		t.Errorf("with another cookie: %v, want a refusal that names the address", err)
	}

	here, there := net.Pipe()
	defer there.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plugin.AttachConn(ctx, here, cfg); err == nil {
		t.Error("attached to nobody")
	}
	if _, err := here.Write([]byte("x")); err == nil {
		t.Error("after an error the connection is open")
	}
}

func TestHostEnv(t *testing.T) {
	t.Setenv(env.Host, "true")
	t.Setenv("SOMETHING_ELSE", "1")
	vars := plugin.HostEnv()
	if slices.Contains(vars, env.Host+"=true") || !slices.Contains(vars, "SOMETHING_ELSE=1") {
		t.Errorf("%q, want all but what makes a child listen on the network", vars)
	}
}

// TestChildLeavesProcess kills a child that has left a process behind, which
// holds its output open.
func TestChildLeavesProcess(t *testing.T) {
	cfg := childConfig("echo")
	left := filepath.Join(t.TempDir(), "pid")
	cfg.Cmd = exec.Command("/bin/sh", "-c", "sleep 600 & echo $! >"+left+"; exec "+os.Args[0])
	cfg.Cmd.Env = []string{envRole + "=echo"}
	client := plugin.NewClient(cfg)
	defer client.Kill()
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(left)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer killProcess(pid)

	if err := cfg.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-client.Done()
	if err := client.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the child ended with %v, want the signal", err)
	}
	if !isRunning(pid) {
		t.Error("the process left behind has ended, so the test showed nothing")
	}
}

// TestAttachOverUnixSocket is a plugin beside the host, in a container of the
// same pod: it is as little the host's to end as one at a TCP address.
func TestAttachOverUnixSocket(t *testing.T) {
	lis, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p := &servedPlugin{impl: newEchoImpl()}
	go func() {
		done <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"echo": &echoPlugin{impl: p.impl}}, Logger: hclog.NewNullLogger(),
		})
	}()
	cfg := p.clientConfig()
	cfg.Reattach.Addr = lis.Addr()
	for range 2 { // Kill leaves it running.
		client := plugin.NewClient(cfg)
		protocol, err := client.Client()
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := dispenseEcho(t, protocol).Via("both ways"); reply != "both ways" || err != nil {
			t.Errorf("Via = %q, %v", reply, err)
		}
		client.Kill()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ServeListener = %v", err)
	}
}
