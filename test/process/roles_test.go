// SPDX-License-Identifier: MPL-2.0

package process

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/daemon"
)

// The names under which the test binary is not a test.
const (
	hostName   = "host"      // basic, which panics and exits on signals
	pluginName = "waiter.po" // a greeter; any name that ends like this
)

// What the host does on signals, beside what basic does.
const (
	signalPanic = syscall.SIGUSR1
	signalExit  = syscall.SIGUSR2
)

// waitForever is the name that the greeter needs for ever to greet.
const waitForever = "forever"

// play plays the role that the process's name asks for, if it does.
func play() bool {
	name := filepath.Base(os.Args[0])
	switch {
	case name == hostName:
		go endByItself()
		os.Exit(cli.Main(cli.Options{
			Name:      "basic",
			Handshake: commons.Handshake(),
			Versions:  commons.Versions,
			Kinds: []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
				daemon.WithSwitch(commons.SwitchGreeter))},
			OnceReady: greet,
		}))
	case name == holderName:
		serveHolder()
	case strings.HasSuffix(name, ".po"):
		logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
		commons.Serve(logger, plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: waiter{}}})
	default:
		return false
	}
	return true
}

// greet greets whom the environment names.
func greet(ctx context.Context, d *daemon.Daemon, plugin string, w io.Writer) error {
	name, err := json.Marshal([]string{cmp.Or(os.Getenv("GREET_NAME"), "someone")})
	if err != nil {
		return err
	}
	answer, err := d.Call(ctx, plugin, commons.GreeterKind, "Greet", name)
	if err == nil {
		_, err = fmt.Fprintf(w, "greet: %s\n", answer)
	}
	return err
}

func endByItself() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, signalPanic, signalExit)
	if <-told == signalExit {
		os.Exit(1)
	}
	panic("told to")
}

// waiter implements commons.Greeter.
type waiter struct{}

func (waiter) Greet(name string) (string, error) {
	if name == waitForever {
		select {}
	}
	return "Hello " + name, nil
}

func (waiter) Hi(int) (string, error) { return "Hi", nil }
