// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// relayChildConfig is that of a child that serves a relay over gRPC.
func relayChildConfig() *plugin.ClientConfig {
	cfg := childConfig("relay")
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	return cfg
}

func dispenseRelay(t *testing.T, dispense func(string) (any, error)) *relay {
	t.Helper()
	raw, err := dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(*relay)
}

// TestGRPCChildShakesHands holds that a child over gRPC has what a network plugin has,
// and that its host ends it as ever.
func TestGRPCChildShakesHands(t *testing.T) {
	for name, change := range map[string]func(*plugin.ClientConfig){
		"plain":        func(*plugin.ClientConfig) {},
		"AutoMTLS":     func(cfg *plugin.ClientConfig) { cfg.AutoMTLS = true },
		"multiplexing": func(cfg *plugin.ClientConfig) { cfg.GRPCBrokerMultiplex = true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := relayChildConfig()
			change(cfg)
			client, session := startChild(t, cfg)
			info := session.Info()
			if info == nil || !slices.Contains(info.Features, hello.FeatureMux) {
				t.Fatalf("the child says %+v of itself, want the feature mux", info)
			}
			if len(info.Kinds) != 1 || info.Kinds[0].Name != "relay" || len(info.Kinds[0].Methods) == 0 {
				t.Errorf("kinds %+v, want relay with its methods", info.Kinds)
			}
			stub := dispenseRelay(t, session.Dispense)
			if answer, err := stub.callback(t.Context(), "Via", "host"); answer != "host" || err != nil {
				t.Errorf("the callback answers %q, %v", answer, err)
			}
			if answer, err := stub.opened(t.Context(), "!"); answer != "child!" || err != nil {
				t.Errorf("what the child serves answers %q, %v", answer, err)
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

// TestGRPCChildBesideOldHost reaches a child that shakes hands as hosts do that know
// nothing of that: calls and callbacks are those of each, and either may end the child.
func TestGRPCChildBesideOldHost(t *testing.T) {
	owner, session := startChild(t, relayChildConfig())
	stub := dispenseRelay(t, session.Dispense)
	old := relayChildConfig()
	old.Cmd, old.Reattach = nil, owner.ReattachConfig()
	guest := plugin.NewClient(old)
	t.Cleanup(guest.Kill)
	protocol, err := guest.Client()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guest.Session(); err == nil {
		t.Error("a reattached child was asked to shake hands")
	}
	other := dispenseRelay(t, protocol.Dispense)
	for name, r := range map[string]*relay{"owner": stub, "guest": other} {
		if answer, err := r.callback(t.Context(), "Via", name); answer != name || err != nil {
			t.Errorf("the callback of the %s answers %q, %v", name, answer, err)
		}
		if answer, err := r.opened(t.Context(), "!"); answer != "child!" || err != nil {
			t.Errorf("what the child serves answers the %s %q, %v", name, answer, err)
		}
	}
	guest.Kill()
	testkit.Eventually(t, "the process has ended, as upstream's Kill does it", owner.Exited)
}

// TestGRPCChildDrains ends a child by SIGTERM: its host is told, and while a call is in
// flight, those that still come have their callbacks.
func TestGRPCChildDrains(t *testing.T) {
	client, session := startChild(t, relayChildConfig())
	stub := dispenseRelay(t, session.Dispense)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	if _, err := stub.count(ctx, ""); err != nil {
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
	if answer, err := stub.callback(t.Context(), "Via", "the last"); err != nil || answer != "the last" {
		t.Errorf("the callback answers %q, %v", answer, err)
	}
	giveUp() // which ends the call in flight
	<-client.Done()
	if err := client.Err(); err == nil || strings.Contains(err.Error(), "signal") {
		t.Errorf("the child ended with %v, want its own exit", err)
	}
}

// TestGRPCChildIsLost kills a child: all that holds its session is told.
func TestGRPCChildIsLost(t *testing.T) {
	cfg := relayChildConfig()
	client, session := startChild(t, cfg)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-session.Done()
	if !errors.Is(session.Err(), plugin.ErrConnectionLost) {
		t.Errorf("the session ended with %v, want ErrConnectionLost", session.Err())
	}
	held := protocol.(*plugin.GRPCClient)
	<-held.Done()
	if !errors.Is(held.Err(), plugin.ErrConnectionLost) {
		t.Errorf("the client ended with %v, want ErrConnectionLost", held.Err())
	}
	if _, err := dispenseRelay(t, protocol.Dispense).call(t.Context(), "Name", ""); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("a call gives %v, want ErrConnectionLost", err)
	}
}
