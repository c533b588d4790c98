// SPDX-License-Identifier: MPL-2.0

package plugin_test

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

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// poisonRoles are plugin processes whose methods panic.
func poisonRoles() map[string]plugin.Plugin {
	return map[string]plugin.Plugin{"poison": &poisonPlugin{}, "poison gRPC": poisonRelay{}}
}

// panicOnce makes a method panic, and returns what its caller gets.
func panicOnce(t *testing.T, from interface {
	Dispense(string) (any, error)
}) error {
	t.Helper()
	raw, err := from.Dispense("poison")
	if err != nil {
		t.Fatal(err)
	}
	if stub, ok := raw.(*poisonStub); ok {
		return stub.Call("Plugin.Do", "text", new(string))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = raw.(*relay).call(ctx, "Do", "text")
	return err
}

// A child that panics ends as it always did: its host waits for that, and reads
// the panic on its stderr.
func TestPanicEndsChild(t *testing.T) {
	for role, kind := range poisonRoles() {
		t.Run(role, func(t *testing.T) {
			log := &logLines{}
			cfg := childConfig(role)
			cfg.Plugins = plugin.PluginSet{"poison": kind}
			cfg.AllowedProtocols = []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC}
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace})
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			if err := panicOnce(t, protocol); err == nil || strings.Contains(err.Error(), "no more") {
				t.Errorf("error %v, want a lost connection", err)
			}
			testkit.Eventually(t, "the child has ended", client.Exited)
			testkit.Eventually(t, "its panic is in the host's log", func() bool { return strings.Contains(log.String(), "panic: no more") })
		})
	}
}

// PLUGIN_PANIC=exit ends a network plugin likewise, and without it the process
// lives on.
func TestPanicExit(t *testing.T) {
	for role, kind := range poisonRoles() {
		for _, mode := range []string{"exit", "answer", ""} {
			t.Run(role+" "+mode, func(t *testing.T) {
				cmd := exec.Command(os.Args[0])
				cmd.Env = []string{envRole + "=" + role, "TEST_PLUGIN=hello", env.Host + "=127.0.0.1", env.Panic + "=" + mode}
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				stdout, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				line, err := bufio.NewReader(stdout).ReadString('\n')
				fields := strings.Split(line, "|")
				if err != nil || len(fields) < 5 {
					t.Fatalf("line %q, %v\n%s", line, err, stderr.String())
				}
				addr, err := net.ResolveTCPAddr("tcp", fields[3])
				if err != nil {
					t.Fatal(err)
				}
				cfg := childConfig(role)
				cfg.Cmd, cfg.Plugins, cfg.Reattach = nil, plugin.PluginSet{"poison": kind}, &plugin.ReattachConfig{Addr: addr}
				cfg.AllowedProtocols = []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC}
				session, err := plugin.Attach(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				err = panicOnce(t, session)
				if lost := errors.Is(err, plugin.ErrConnectionLost); lost != (mode == "exit") {
					t.Errorf("error %v", err)
				}
				if mode != "exit" {
					if err := session.Ping(); err != nil {
						t.Errorf("Ping after a panic: %v", err)
					}
					_ = cmd.Process.Signal(os.Interrupt)
				}
				ended := cmd.Wait()
				if (ended != nil) != (mode == "exit") {
					t.Errorf("the process ended with %v\n%s", ended, stderr.String())
				}
				if !strings.Contains(stderr.String(), "no more") {
					t.Errorf("its log says nothing of the panic:\n%s", stderr.String())
				}
			})
		}
	}
}
