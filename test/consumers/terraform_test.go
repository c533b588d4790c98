// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const (
	// patience bounds every wait for something that must happen.
	patience = 2 * time.Minute

	inTurn = 3
	atOnce = 20
)

// As a child, every pair of host and plugin gets what upstream's pair gets.
func TestTerraformChild(t *testing.T) {
	want := truth(t)
	for _, host := range sides() {
		for _, child := range sides() {
			crowd(t, fmt.Sprintf("child    %s-%s", host, child), want, func() {},
				program(t, host, "host"), "child", program(t, child, "terraform"))
		}
	}
}

// Over the network hosts of both libraries get the same of one plugin, whichever
// probes come between, and each its own provider.
func TestTerraformNetwork(t *testing.T) {
	want := truth(t)
	p := startNetwork(t, program(t, fork, "terraform"))
	for _, host := range sides() {
		crowd(t, fmt.Sprintf("network  %s-fork", host), want, func() { p.probe(t) },
			program(t, host, "host"), "attach", "tcp", p.address)
	}
	select {
	case <-p.exited:
		t.Errorf("the plugin ended under its hosts:\n%s", &p.stderr)
	default:
	}
}

// truth is what upstream's host prints of upstream's child.
func truth(t *testing.T) string {
	t.Helper()
	want, err := runHost(program(t, upstream, "host"), "child", program(t, upstream, "terraform"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"MINE: note 19", "no note may say bad", "Unimplemented"} {
		if !strings.Contains(want, part) {
			t.Fatalf("upstream's host prints nothing about %q:\n%s", part, want)
		}
	}
	return want
}

// crowd runs hosts one after another and many at once, with a probe before each
// of the former and beside the latter, and compares what they print.
func crowd(t *testing.T, name, want string, probe func(), command ...string) {
	t.Helper()
	var mu sync.Mutex
	same := 0
	one := func() {
		got, err := runHost(command[0], command[1:]...)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || got != want {
			t.Errorf("%s: a host got\n%s(error: %v), want\n%s", name, got, err, want)
			return
		}
		same++
	}
	for range inTurn {
		probe()
		one()
	}
	var hosts sync.WaitGroup
	for range atOnce {
		hosts.Go(one)
	}
	probe()
	hosts.Wait()
	probe()
	t.Logf("terraform  %s: %d of %d hosts (%d in turn, %d at once) got all of %d lines as upstream's",
		name, same, inTurn+atOnce, inTurn, atOnce, strings.Count(want, "\n"))
}

func runHost(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("run %s: %w\n%s", path, err, &stderr)
	}
	return string(out), nil
}

// network is a plugin in network mode, which is nobody's child.
type network struct {
	address string
	stderr  bytes.Buffer // to be read once exited is closed
	exited  chan struct{}
}

func startNetwork(t *testing.T, path string) *network {
	t.Helper()
	p := &network{exited: make(chan struct{})}
	line, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "PLUGIN_HOST=127.0.0.1",
		"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
	cmd.Stdout, cmd.Stderr = stdout, &p.stderr
	err = cmd.Start()
	_ = stdout.Close()
	if err != nil {
		_ = line.Close()
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		_ = line.Close()
	})
	if err := line.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text, err := bufio.NewReader(line).ReadString('\n')
	parts := strings.Split(text, "|")
	if err != nil || len(parts) < 5 || parts[2] != "tcp" {
		t.Fatalf("the plugin printed %q (%v), want a handshake line of a network plugin", text, err)
	}
	p.address = parts[3]
	return p
}

// probe connects as a TCP probe does, and asks for the health of the plugin as
// a gRPC probe does, of a connection of its own.
func (p *network) probe(t *testing.T) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.address, patience)
	if err != nil {
		t.Errorf("TCP probe: %v", err)
		return
	}
	_ = conn.Close()
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
