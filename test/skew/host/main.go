// SPDX-License-Identifier: MPL-2.0

// Command host is a daemon that knows the desk, and does what it is told on stdin, a line
// each: check, load, rest, status. It answers each with a line of JSON. SKEW_NETWORK is a
// list of addresses, SKEW_DIR a directory of children, SKEW_PROTOCOL netrpc or grpc. It
// ends on SIGTERM, or with its stdin.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/skew/desk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

// patience is how long anything may take that ought to take moments.
const patience = 30 * time.Second

// host is the daemon, and who calls through it.
type host struct {
	daemon *daemon.Daemon
	desk   desk.Desk
	log    *log
	load   *load
}

func run(ctx context.Context) error {
	protocol := os.Getenv("SKEW_PROTOCOL")
	h := &host{log: &log{}}
	o := daemon.DefaultOptions()
	o.Logger = hclog.New(&hclog.LoggerOptions{Output: h.log, Level: hclog.Debug})
	o.Handshake = desk.Handshake()
	o.Kinds = []daemon.Kind{daemon.NewKind[desk.Desk](desk.Kind, desk.Set(protocol, nil)[desk.Kind])}
	o.NetworkPlugins, o.PluginDir = os.Getenv("SKEW_NETWORK"), os.Getenv("SKEW_DIR")
	o.ChildEnv = []string{"SKEW_PROTOCOL=" + protocol}
	d, err := daemon.New(o)
	if err != nil {
		return err
	}
	h.daemon = d
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(running) }()
	defer func() {
		end()
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, "host:", err)
		}
	}()
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if h.desk, err = daemon.Dispense[desk.Desk](within, d, "desk", desk.Kind); err != nil {
		return err
	}
	return h.obey(ctx)
}

// obey does what it is told until it is to end. Calls in flight have ended then.
func (h *host) obey(ctx context.Context) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode("ready"); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return out.Encode(h.rest())
		case line, more := <-lines:
			if !more {
				return nil
			}
			if err := out.Encode(h.do(line)); err != nil {
				return err
			}
		}
	}
}

func (h *host) do(command string) any {
	switch command {
	case "check":
		return h.check()
	case "load":
		h.load = start(h.desk)
		return "calling"
	case "rest":
		return h.rest()
	case "count":
		return h.load.counts()
	case "status":
		p, _ := h.daemon.Plugin("desk")
		return p
	}
	return "unknown command " + command
}

// rest ends the load, and says what came of its calls.
func (h *host) rest() Counts {
	if h.load == nil {
		return Counts{}
	}
	l := h.load
	h.load = nil
	return l.end()
}
