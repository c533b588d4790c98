// SPDX-License-Identifier: MPL-2.0

// Command identity prints what a host can hold on to of its library: which errors
// are the very values that it compares with, and what each method gives before,
// during and after a plugin's life. It is its own plugin.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "IDENTITY", MagicCookieValue: "plugin"}

// kind is a plugin that only answers to Dispense.
type kind struct{}

func (kind) Server(*plugin.MuxBroker) (interface{}, error) { return &served{}, nil }

func (kind) Client(*plugin.MuxBroker, *rpc.Client) (interface{}, error) { return "stub", nil }

type served struct{}

// Nothing answers.
func (*served) Nothing(struct{}, *struct{}) error { return nil }

func main() {
	if os.Getenv(handshake.MagicCookieKey) != "" {
		plugin.Serve(&plugin.ServeConfig{HandshakeConfig: handshake, Plugins: kinds(), Logger: hclog.NewNullLogger()})
		return
	}
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	startErrors(dir)
	life(dir)
	reattach(dir)
	reattachVersions()
	testMode()
	discover(dir)
}

func kinds() plugin.PluginSet { return plugin.PluginSet{"kind": kind{}} }

func note(what string, got ...any) { fmt.Print(what, ": ", fmt.Sprintln(got...)) }

func config(change func(*plugin.ClientConfig)) *plugin.ClientConfig {
	c := &plugin.ClientConfig{HandshakeConfig: handshake, Plugins: kinds(), Cmd: exec.Command(os.Args[0]), Logger: hclog.NewNullLogger()}
	change(c)
	return c
}

// startErrors are compared and looked into as hosts do.
func startErrors(dir string) {
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		panic(err)
	}
	start := func(change func(*plugin.ClientConfig)) (*plugin.Client, error) {
		c := plugin.NewClient(config(change))
		_, err := c.Start()
		return c, err
	}
	_, err := start(func(c *plugin.ClientConfig) { c.Cmd = exec.Command(filepath.Join(dir, "none")) })
	note("no such file", os.IsNotExist(err), reflect.TypeOf(err))
	_, err = start(func(c *plugin.ClientConfig) { c.Cmd = exec.Command("no-such-command-in-the-path") })
	note("no such command", reflect.TypeOf(err))
	_, err = start(func(c *plugin.ClientConfig) { c.Cmd = exec.Command(plain) })
	_, isPath := err.(*fs.PathError) //nolint:errorlint // as hosts do
	note("not executable", os.IsPermission(err), isPath)
	_, err = start(func(c *plugin.ClientConfig) {
		c.SecureConfig = &plugin.SecureConfig{Checksum: []byte("x"), Hash: sha256.New()}
	})
	note("checksum", err == plugin.ErrChecksumsDoNotMatch) //nolint:errorlint // as hosts do
	_, err = start(func(c *plugin.ClientConfig) { c.SecureConfig = &plugin.SecureConfig{} })
	note("no checksum", err)
	_, err = start(func(c *plugin.ClientConfig) {
		c.Cmd, c.Reattach, c.SecureConfig = nil, &plugin.ReattachConfig{}, &plugin.SecureConfig{}
	})
	note("checksum and reattach", err == plugin.ErrSecureConfigAndReattach) //nolint:errorlint // as hosts do
	_, err = start(func(c *plugin.ClientConfig) { c.Cmd = nil })
	note("neither", err)
	gone := &plugin.ReattachConfig{Pid: 1 << 30, Addr: &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "none")}}
	c, err := start(func(c *plugin.ClientConfig) { c.Cmd, c.Reattach = nil, gone })
	note("nobody to reattach to", err == plugin.ErrProcessNotFound, c.Protocol() == plugin.ProtocolInvalid) //nolint:errorlint // as hosts do
	note("afterwards", c.ID(), c.Exited(), c.NegotiatedVersion(), c.ReattachConfig() == nil)
}

// life is that of a child, whose socket goes where the operator says.
func life(dir string) {
	sockets := filepath.Join(dir, "sockets")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		panic(err)
	}
	os.Setenv(plugin.EnvUnixSocketDir, sockets)
	defer os.Unsetenv(plugin.EnvUnixSocketDir)
	c := plugin.NewClient(config(func(*plugin.ClientConfig) {}))
	state := func(when string) {
		r := c.ReattachConfig()
		note(when, c.ID() != "", c.Exited(), c.NegotiatedVersion(), r != nil, r != nil && r.Pid > 0 && r.Addr != nil && !r.Test)
	}
	c.Kill()
	state("before")
	addr, err := c.Start()
	note("start", err, filepath.Dir(addr.String()) == sockets)
	again, err := c.Start()
	note("started again", err, addr == again)
	state("started")
	one, err := c.Client()
	two, again2 := c.Client()
	note("client", err, again2, one == two, c.Protocol())
	_, err = one.Dispense("none")
	note("dispense", err)
	c.Kill()
	state("killed")
	_, err = c.Start()
	note("start of what was killed", err)
	left, _ := os.ReadDir(sockets)
	note("left", len(left))
	c.Kill()
}

// reattach finds a plugin that another client started, at the second attempt.
func reattach(dir string) {
	owner := plugin.NewClient(config(func(*plugin.ClientConfig) {}))
	if _, err := owner.Start(); err != nil {
		panic(err)
	}
	running := owner.ReattachConfig()
	there := *running
	there.Addr = &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "later")}
	c := plugin.NewClient(config(func(c *plugin.ClientConfig) { c.Cmd, c.Reattach = nil, &there }))
	_, err := c.Start()
	note("too early", err == plugin.ErrProcessNotFound) //nolint:errorlint // as hosts do
	there.Addr = running.Addr
	_, err = c.Start()
	note("in time", err, c.ID() == owner.ID(), c.ReattachConfig() == &there)
	_, err = c.Client()
	note("client", err)
	c.Kill()
	note("killed", c.ID(), c.Exited())
	owner.Kill()
}

// reattachVersions finds a plugin with Plugins alone, which are of whatever version
// Reattach names, with a process or without one.
func reattachVersions() {
	owner := plugin.NewClient(config(func(*plugin.ClientConfig) {}))
	if _, err := owner.Start(); err != nil {
		panic(err)
	}
	defer owner.Kill()
	for _, version := range []uint{0, 4, 6} {
		for _, pid := range []int{owner.ReattachConfig().Pid, 0} {
			running := *owner.ReattachConfig()
			running.Pid, running.ProtocolVersion = pid, 6
			c := plugin.NewClient(config(func(c *plugin.ClientConfig) { c.Cmd, c.Reattach, c.ProtocolVersion = nil, &running, version }))
			client, err := c.Client()
			if err != nil {
				note("reattach", version, pid != 0, err)
				continue
			}
			got, err := client.Dispense("kind")
			note("reattach", version, pid != 0, got, err)
		}
	}
}

// testMode serves in this process, as the tests of plugins do.
func testMode() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	configs, closed := make(chan *plugin.ReattachConfig, 1), make(chan struct{})
	go plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake, Plugins: kinds(), Logger: hclog.NewNullLogger(),
		Test: &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: configs, CloseCh: closed},
	})
	found := <-configs
	note("announced", found.Protocol, found.ProtocolVersion, found.Pid == os.Getpid(), found.Test)
	c := plugin.NewClient(config(func(c *plugin.ClientConfig) { c.Cmd, c.Reattach = nil, found }))
	client, err := c.Client()
	note("client", err, c.ID(), c.NegotiatedVersion())
	c.Kill()
	note("ping after kill", client.Ping(), c.Exited())
	same, err := c.Client()
	note("client after kill", same == client, err)
	note("close", client.Close())
	<-closed
}

func discover(dir string) {
	for _, name := range []string{"b.po", "a.po", ".h.po", "c.so"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			panic(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.po")); err != nil {
		panic(err)
	}
	for _, glob := range []string{"*.po", "a.po", "link.po", "", "none*", "sockets/../[ab].po", "/a.po", "../" + filepath.Base(dir) + "/c.so"} {
		found, err := plugin.Discover(glob, dir)
		note("discover "+strings.ReplaceAll(glob, dir, "")[:min(3, len(glob))], strings.ReplaceAll(strings.Join(found, " "), dir, "*"), found == nil, err)
	}
	_, err := plugin.Discover("[", dir)
	note("malformed", err == filepath.ErrBadPattern) //nolint:errorlint // as hosts do
	found, err := plugin.Discover("*", filepath.Join(dir, "missing"))
	note("no directory", found == nil, err)
}
