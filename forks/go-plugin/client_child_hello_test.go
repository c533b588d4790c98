// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// startChild starts a child and returns its session.
func startChild(t *testing.T, cfg *plugin.ClientConfig) (*plugin.Client, *plugin.Session) {
	t.Helper()
	client := plugin.NewClient(cfg)
	t.Cleanup(client.Kill)
	session, err := client.Session()
	if err != nil {
		t.Fatal(err)
	}
	return client, session
}

// withoutHello has a host speak gRPC with its child as one of the original library.
func withoutHello(cfg *plugin.ClientConfig) {
	cfg.GRPCDialOptions = append(cfg.GRPCDialOptions, grpc.WithUserAgent("a host that wants HTTP/2"))
}

// TestChildShakesHands holds that a child has what a network plugin has, if both sides
// know the handshake, and that nothing of it is handed on.
func TestChildShakesHands(t *testing.T) {
	for name, change := range map[string]func(*plugin.ClientConfig){
		"plain":    func(*plugin.ClientConfig) {},
		"AutoMTLS": func(cfg *plugin.ClientConfig) { cfg.AutoMTLS = true },
		"taken":    func(cfg *plugin.ClientConfig) { cfg.EndWithHost = true },
		"behind a script": func(cfg *plugin.ClientConfig) {
			cfg.Cmd.Path, cfg.Cmd.Args = "/bin/sh", []string{"sh", "-c", os.Args[0] + "; true"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("environ")
			change(cfg)
			client, session := startChild(t, cfg)
			info := session.Info()
			if info == nil || !slices.Contains(info.Features, hello.FeatureMux) {
				t.Fatalf("the child says %+v of itself, want the feature mux", info)
			}
			if len(info.Kinds) != 1 || info.Kinds[0].Name != "echo" || len(info.Kinds[0].Methods) != 1 {
				t.Errorf("kinds %+v, want echo with its one method", info.Kinds)
			}
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			if value, err := dispenseEcho(t, protocol).Echo(env.Hello); value != "" || err != nil {
				t.Errorf("what the child starts is told %s=%s, %v", env.Hello, value, err)
			}
			if err := session.Ping(); err != nil {
				t.Error(err)
			}
			client.WaitForEnd()
			client.Kill()
			if !errors.Is(session.Err(), plugin.ErrDetached) {
				t.Errorf("the session ended with %v, want ErrDetached", session.Err())
			}
			if state := cfg.Cmd.ProcessState; state == nil || state.ExitCode() != 0 {
				t.Errorf("the child was not asked to end: %v", state)
			}
		})
	}
}

// reattachAsEver starts a child, and reaches it as hosts of the original library do.
func reattachAsEver(t *testing.T, cfg *plugin.ClientConfig) plugin.ClientProtocol {
	t.Helper()
	owner := plugin.NewClient(cfg)
	t.Cleanup(owner.Kill)
	if _, err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	old := *cfg
	old.Cmd, old.Reattach = nil, owner.ReattachConfig()
	client := plugin.NewClient(&old)
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	return protocol
}

// lineOf starts a plugin as some host would, and returns the line that it prints.
func lineOf(t *testing.T, vars ...string) child.Line {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=echo", testHandshake.MagicCookieKey+"="+testHandshake.MagicCookieValue)
	cmd.Env = append(cmd.Env, vars...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	text, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	line, err := child.ParseLine(text)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestLineForOtherHosts holds that only the host that has asked gets a line that an old
// one could misread: one of the original library hands on what its own host has set.
func TestLineForOtherHosts(t *testing.T) {
	hello := child.Request{Versions: []int{1}, Hello: true}.Env()
	for name, tc := range map[string]struct {
		vars []string
		want bool
	}{
		"it has not asked":                  {vars: nil},
		"it has asked":                      {vars: hello, want: true},
		"another host, with AutoMTLS":       {vars: append(slices.Clone(hello), env.ClientCert+"="+certificatePEM(t))},
		"another host, with multiplexing":   {vars: append(slices.Clone(hello), env.MultiplexGRPC+"=true")},
		"the word of a host that is no one": {vars: []string{env.Hello + "=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if line := lineOf(t, tc.vars...); line.Hello != tc.want {
				t.Errorf("the line is %q", line)
			}
		})
	}
}

func certificatePEM(t *testing.T) string {
	t.Helper()
	cert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	return string(cert.PEM)
}

// TestReattachToChildThatShakesHands reaches such a child as hosts do that did not start
// it: by its process, as ever, and by its address alone, which leaves it running.
func TestReattachToChildThatShakesHands(t *testing.T) {
	owner, session := startChild(t, childConfig("echo"))
	byAddress := childConfig("echo")
	byAddress.Cmd, byAddress.Reattach = nil, &plugin.ReattachConfig{Addr: owner.ReattachConfig().Addr}
	guest, other := startChild(t, byAddress)
	if got, want := other.Info().Instance, session.Info().Instance; got != want {
		t.Errorf("instance %s at the child's address, want %s", got, want)
	}
	guest.Kill()
	if err := session.Ping(); err != nil {
		t.Fatalf("a host that has only attached has ended the child: %v", err)
	}

	byProcess := childConfig("echo")
	byProcess.Cmd, byProcess.Reattach = nil, owner.ReattachConfig()
	heir, old := startChild(t, byProcess)
	if old.Info() != nil {
		t.Errorf("a reattached child was asked to shake hands: %+v", old.Info())
	}
	heir.Kill()
	testkit.Eventually(t, "the process has ended, as upstream's Kill does it", owner.Exited)
}

// TestChildDrains ends a child by SIGTERM: its host is told, and the call in flight is
// answered.
func TestChildDrains(t *testing.T) {
	client, session := startChild(t, childConfig("echo"))
	channel, err := session.OpenRPC("echo")
	if err != nil {
		t.Fatal(err)
	}
	stub := plugin.NewChannelClient(channel)
	defer stub.Close()
	broker := session.MuxBroker()
	id := broker.NextId()
	var reply string
	call := stub.Go("Plugin.Via", id, &reply, nil)
	conn, err := broker.Accept(id)
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(client.ReattachConfig().Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-session.Draining()
	if _, err := io.WriteString(conn, "the last"); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	if <-call.Done; call.Error != nil || reply != "the last" {
		t.Errorf("the call in flight: %q, %v", reply, call.Error)
	}
	<-client.Done()
	if err := client.Err(); err == nil || strings.Contains(err.Error(), "signal") {
		t.Errorf("the child ended with %v, want its own exit", err)
	}
}
