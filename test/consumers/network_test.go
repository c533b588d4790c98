// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// network is a plugin in network mode, which is nobody's child.
type network struct {
	address  string // TCP
	protocol string // "grpc" or "netrpc"
	pid      int
	stderr   bytes.Buffer // to be read once exited is closed
	exited   chan struct{}
}

// startNetwork starts a plugin that is built with the fork in network mode.
func startNetwork(t *testing.T, path string, env []string) *network {
	t.Helper()
	return startNetworkProgram(t, exec.Command(path), append([]string{"PLUGIN_HOST=127.0.0.1"}, env...), func(line string) (address, protocol string, err error) {
		parts := strings.Split(line, "|")
		if len(parts) < 5 || parts[2] != "tcp" {
			return "", "", errors.New("it is no handshake line of a network plugin")
		}
		return parts[3], parts[4], nil
	})
}

// startNetworkProgram starts a program that serves a plugin on the network, and whose first
// line says where, which said reads.
func startNetworkProgram(t *testing.T, cmd *exec.Cmd, env []string, said func(line string) (address, protocol string, err error)) *network {
	t.Helper()
	p := &network{exited: make(chan struct{})}
	line, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = stdout, &p.stderr
	err = cmd.Start()
	_ = stdout.Close()
	if err != nil {
		_ = line.Close()
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		_ = line.Close()
		if t.Failed() {
			t.Logf("stderr of %s:\n%s", cmd.Path, &p.stderr)
		}
	})
	if err := line.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text, err := bufio.NewReader(line).ReadString('\n')
	if err == nil {
		p.address, p.protocol, err = said(strings.TrimSpace(text))
	}
	if err != nil {
		t.Fatalf("the program printed %q: %v", text, err)
	}
	return p
}

// mustLive fails the test if the process that served all hosts has ended.
func (p *network) mustLive(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
		t.Errorf("the plugin, process %d, ended under its hosts:\n%s", p.pid, &p.stderr)
	default:
	}
}

// probe does what watches over plugins: it connects and says nothing, asks for
// health as gRPC probes do, and runs basic probe.
func (p *network) probe(t *testing.T) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		t.Errorf("TCP probe: %v", err)
		return
	}
	_ = conn.Close()
	if p.protocol == "grpc" {
		p.probeHealth(t)
	}
	p.probeBasic(t)
}

// probeHealth asks for the plugin's health, of a connection of its own.
func (p *network) probeHealth(t *testing.T) {
	t.Helper()
	cc, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Errorf("gRPC probe: %v", err)
		return
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("gRPC probe: got %v, %v, want SERVING", answer.GetStatus(), err)
	}
}

// probeBasic runs the host's own probe. It gets as far as the handshake, where
// the plugin tells it that they were not made for each other.
func (p *network) probeBasic(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, _ := exec.CommandContext(ctx, basic(t), "probe", p.address).CombinedOutput()
	for _, part := range []string{"ok    connect ", "FAIL  hello ", "magic cookie"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("basic probe says nothing about %q:\n%s", part, out)
		}
	}
}
