// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// floodingPlugin writes for ever once it is dispensed, to where the role says.
type floodingPlugin struct {
	echoPlugin
	to func() func(line string)
}

func (p *floodingPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	write := p.to() // os.Stderr is one file while the plugin serves, and another afterwards
	go func() {
		for {
			write(strings.Repeat("flood ", 200) + "\n")
		}
	}()
	return p.echoPlugin.Server(b)
}

// floodTo is what plugins that nobody reads write to.
func floodTo(role string, logger hclog.Logger) func() func(string) {
	file := func(f *os.File) func(string) {
		return func(line string) { fmt.Fprint(f, line) }
	}
	switch role {
	case "flood the log":
		return func() func(string) {
			return func(line string) { logger.Info(line) }
		}
	case "flood stderr":
		return func() func(string) { return file(os.Stderr) }
	case "flood stdout":
		return func() func(string) { return file(os.Stdout) }
	}
	return nil
}

// TestNobodyReads ends network plugins whose output nobody reads, by SIGTERM.
func TestNobodyReads(t *testing.T) {
	for _, role := range []string{"flood the log", "flood stderr", "flood stdout"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envRole+"="+role, "TEST_PLUGIN=hello", env.Host+"=127.0.0.1", env.DrainTimeout+"=1s")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			stderr, unread, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			cmd.Stderr = unread
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = unread.Close()
			defer cmd.Process.Kill()
			first, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			line, err := child.ParseLine(first)
			if err != nil {
				t.Fatal(err)
			}
			addr, err := net.ResolveTCPAddr("tcp", line.Address)
			if err != nil {
				t.Fatal(err)
			}
			cfg := (&servedPlugin{addr: addr}).clientConfig()
			cfg.AllowedProtocols = []plugin.Protocol{plugin.ProtocolNetRPC}
			session, err := plugin.Attach(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if _, err := dispenseEcho(t, session).Echo("hello"); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the pipe is full", func() bool { return isFull(t, stderr) || role == "flood stdout" })
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			_, _ = cmd.Process.Wait() // cmd.Wait would read nothing either, but close the pipes first.
			if !kill.Stop() {
				t.Error("the plugin did not end")
			}
		})
	}
}
