// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// socketsIn makes dir the place of a child's sockets, and lists what is there.
func socketsIn(t *testing.T, cfg *plugin.ClientConfig, name string) func() []string {
	t.Helper()
	dir := t.TempDir()
	cfg.Cmd.Env = append(cfg.Cmd.Env, name+"="+dir)
	cfg.SkipHostEnv = true
	return func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
}

// TestSocketLiesInTheDirectory holds that the socket has no directory of its own:
// what an operator mounts somewhere else finds it.
func TestSocketLiesInTheDirectory(t *testing.T) {
	for _, name := range []string{plugin.EnvUnixSocketDir, "TMPDIR"} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			sockets := socketsIn(t, cfg, name)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			addr, err := client.Start()
			if err != nil {
				t.Fatal(err)
			}
			if found := sockets(); len(found) != 1 || found[0] != addr.String() {
				t.Fatalf("the child listens on %s, in the directory are %q", addr, found)
			}
			info, err := os.Stat(addr.String())
			if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v: want a socket for its owner alone", info.Mode(), err)
			}
			client.Kill()
			if found := sockets(); len(found) != 0 {
				t.Errorf("left: %q", found)
			}
		})
	}
}

// TestKilledChildLeavesNoSocket kills children that cannot clear up.
func TestKilledChildLeavesNoSocket(t *testing.T) {
	cfg := childConfig("echo")
	sockets := socketsIn(t, cfg, "TMPDIR")
	client := plugin.NewClient(cfg)
	defer client.Kill()
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-client.Done()
	if found := sockets(); len(found) != 0 {
		t.Errorf("left: %q", found)
	}
}

// TestKilledChildLeavesNoBrokeredSocket kills one that accepts brokered connections.
func TestKilledChildLeavesNoBrokeredSocket(t *testing.T) {
	for _, name := range []string{plugin.EnvUnixSocketDir, "TMPDIR"} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("")
			cfg.Cmd.Env = append(printRole(plugin.ProtocolGRPC), envServer+"=has a relay")
			cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
			withoutHello(cfg)
			sockets := socketsIn(t, cfg, name)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := protocol.Dispense("relay")
			if err != nil {
				t.Fatal(err)
			}
			stub := raw.(*relay)
			id, err := stub.call(t.Context(), "Lend", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := askBroker(t.Context(), stub.broker, parseID(id)); err != nil {
				t.Fatal(err)
			}
			if found := sockets(); len(found) < 2 {
				t.Fatalf("sockets %q, want one that is brokered", found)
			}
			if err := cfg.Cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-client.Done()
			if found := sockets(); len(found) != 0 {
				t.Errorf("left: %q", found)
			}
		})
	}
}

// TestEndWithHost holds that the socket of such a child has no name, and that the
// child can be reached all the same, once more too.
func TestEndWithHost(t *testing.T) {
	cfg := childConfig("echo")
	cfg.EndWithHost = true
	sockets := socketsIn(t, cfg, "TMPDIR")
	client := plugin.NewClient(cfg)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	if found := sockets(); len(found) != 0 {
		t.Errorf("the socket has a name: %q", found)
	}
	if reply, err := dispenseEcho(t, protocol).Via("both ways"); reply != "both ways" || err != nil {
		t.Errorf("Via = %q, %v", reply, err)
	}
	again, err := client.DialChild(t.Context())
	if err != nil {
		t.Fatalf("connecting once more: %v", err)
	}
	_ = again.Close()
	client.WaitForEnd()
	client.Kill()
	if _, err := client.DialChild(t.Context()); err == nil {
		t.Error("connected to a child that has ended")
	}
	if code := cfg.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d: the child was not asked to end", code)
	}
}

// TestEndWithHostThroughScript has a script between host and child, which alone
// the system kills.
func TestEndWithHostThroughScript(t *testing.T) {
	cfg := childConfig("echo")
	pidFile := filepath.Join(t.TempDir(), "pid")
	cfg.Cmd.Path, cfg.Cmd.Args = "/bin/sh", []string{"sh", "-c", os.Args[0] + " & echo $! >" + pidFile + "; wait"}
	cfg.EndWithHost = true
	client := plugin.NewClient(cfg)
	defer client.Kill()
	if _, err := client.Client(); err != nil {
		t.Fatal(err)
	}
	pid := pidIn(t, pidFile)
	if err := cfg.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the child ends with its parent", func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return errors.Is(err, os.ErrNotExist) || bytes.Contains(stat, []byte(") Z "))
	})
}

// TestEndWithHostIsNotInherited holds that a child is told alone: what it starts
// has another parent, whose end means nothing.
func TestEndWithHostIsNotInherited(t *testing.T) {
	for _, mode := range []string{"", "127.0.0.1"} {
		t.Run(env.Host+"="+mode, func(t *testing.T) {
			cfg := childConfig("environ")
			cfg.Cmd.Env = append(cfg.Cmd.Env, env.Host+"="+mode)
			cfg.EndWithHost = true
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			if value, err := dispenseEcho(t, protocol).Echo(env.EndWithHost); value != "" || err != nil {
				t.Errorf("what the child starts is told %s=%s, %v", env.EndWithHost, value, err)
			}
		})
	}
}

func pidIn(t *testing.T, file string) string {
	t.Helper()
	var text []byte
	testkit.Eventually(t, "the script has written a process id", func() bool {
		text, _ = os.ReadFile(file)
		return bytes.HasSuffix(text, []byte("\n"))
	})
	return strings.TrimSpace(string(text))
}

// TestChildOfPlugin is a host that is itself a child: what its own host said to it
// is not for its children, also not when it copies its environment by hand.
func TestChildOfPlugin(t *testing.T) {
	cert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(env.ClientCert, string(cert.PEM))
	t.Setenv(env.MultiplexGRPC, "true")
	t.Setenv(plugin.EnvUnixSocketGroup, "no such group")
	t.Setenv(env.ProtocolVersions, "77")
	t.Setenv(env.EndWithHost, "true")
	for name, change := range map[string]func(*plugin.ClientConfig){
		"inherited": func(*plugin.ClientConfig) {},
		"copied":    func(c *plugin.ClientConfig) { c.Cmd.Env = append(os.Environ(), c.Cmd.Env...) },
		"HostEnv": func(c *plugin.ClientConfig) {
			c.Cmd.Env, c.SkipHostEnv = append(plugin.HostEnv(), c.Cmd.Env...), true
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			change(cfg)
			client := plugin.NewClient(cfg)
			defer client.Kill()
			protocol, err := client.Client()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dispenseEcho(t, protocol).Echo("hello"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEnvOfTheHostsChoice keeps what a host sets for its child itself.
func TestEnvOfTheHostsChoice(t *testing.T) {
	t.Setenv(plugin.EnvUnixSocketGroup, "theirs")
	cfg := childConfig("echo")
	cfg.Cmd.Env = append(cfg.Cmd.Env, plugin.EnvUnixSocketGroup+"=no such group")
	client := plugin.NewClient(cfg)
	defer client.Kill()
	if _, err := client.Start(); err == nil {
		t.Error("the child was not told of the group that its host chose")
	}
}

// blockedReader gives nothing, for as long as the test runs.
type blockedReader struct{ until chan struct{} }

func (r blockedReader) Read([]byte) (int, error) {
	<-r.until
	return 0, io.EOF
}

// TestStdin holds that a command's own standard input is kept, and that a source
// which never ends holds up nothing.
func TestStdin(t *testing.T) {
	endless := blockedReader{make(chan struct{})}
	defer close(endless.until)
	for name, stdin := range map[string]io.Reader{
		"text":    strings.NewReader("said on stdin\n"),
		"endless": io.MultiReader(strings.NewReader("said on stdin\n"), endless),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := childConfig("echo")
			cfg.Cmd.Path, cfg.Cmd.Args = "/bin/sh", []string{"sh", "-c", "read line; echo \"$line\" >&2; exec " + os.Args[0]}
			cfg.Cmd.Stdin = stdin
			var stderr lockedBuffer
			cfg.Stderr = &stderr
			client := plugin.NewClient(cfg)
			defer client.Kill()
			if _, err := client.Client(); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the child has read its stdin", func() bool { return strings.Contains(stderr.String(), "said on stdin") })
			client.Kill()
			if pid := cfg.Cmd.Process.Pid; isRunning(pid) {
				t.Errorf("process %d is left", pid)
			}
		})
	}
}
