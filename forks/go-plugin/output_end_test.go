// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// envOutputRounds is how often TestOutputIsComplete tries each of its cells. The
// long run of 1,000 is
//
//	OUTPUT_ROUNDS=1000 go test -run TestOutputIsComplete -timeout 2h -v .
const envOutputRounds = "OUTPUT_ROUNDS"

// outputRound is one host's life with a plugin.
type outputRound struct {
	config   *plugin.ClientConfig
	protocol plugin.Protocol
	yamux    bool // without the feature mux
	lines    int
	process  *exec.Cmd
	stop     func() // clears up; may be nil
}

func (r *outputRound) out(o *printedOutput) {
	r.config.HandshakeConfig = testHandshake
	r.config.Plugins = plugin.PluginSet{"print": &printer{}}
	r.config.AllowedProtocols = []plugin.Protocol{r.protocol}
	r.config.Logger = hclog.NewNullLogger()
	r.config.SyncStdout, r.config.SyncStderr = &o.stdout, &o.stderr
}

type dispenser interface {
	Dispense(string) (interface{}, error)
}

func callPrinter(d dispenser, n int) error {
	raw, err := d.Dispense("print")
	if err != nil {
		return err
	}
	return raw.(*printer).call(n)
}

// killed ends the plugin, or the session with one of the network, by Kill.
func (r *outputRound) killed() error {
	client := plugin.NewClient(r.config)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	return callPrinter(protocol, r.lines)
}

// exits calls a method that ends the process, once the plugin has answered.
func (r *outputRound) exits() error {
	return r.untilEnd(func(d dispenser) {
		_ = callPrinter(d, exitAtOnce) // There is no answer.
	})
}

// dies ends the process as soon as the answer has come, as one would
// see it that exits in another goroutine.
func (r *outputRound) dies() error {
	return r.untilEnd(func(dispenser) { _ = r.process.Process.Kill() })
}

// leaves tells a plugin of the network to end.
func (r *outputRound) leaves() error {
	return r.untilEnd(func(dispenser) { _ = r.process.Process.Signal(syscall.SIGTERM) })
}

// untilEnd calls quit once the plugin has answered, and waits for the plugin's end.
func (r *outputRound) untilEnd(quit func(dispenser)) error {
	if r.config.Reattach != nil {
		session, err := r.attach()
		if err != nil {
			return err
		}
		defer session.Close()
		if err := callPrinter(session, r.lines); err != nil {
			return err
		}
		quit(session)
		<-session.Done()
		return nil
	}
	client := plugin.NewClient(r.config)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	r.process = r.config.Cmd
	if err := callPrinter(protocol, r.lines); err != nil {
		return err
	}
	quit(protocol)
	<-client.Done()
	return nil
}

// closed detaches.
func (r *outputRound) closed() error {
	session, err := r.attach()
	if err != nil {
		return err
	}
	defer session.Close()
	return callPrinter(session, r.lines)
}

func (r *outputRound) attach() (*plugin.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !r.yamux {
		return plugin.Attach(ctx, r.config)
	}
	conn, err := new(net.Dialer).DialContext(ctx, r.config.Reattach.Addr.Network(), r.config.Reattach.Addr.String())
	if err != nil {
		return nil, err
	}
	request := plugin.HelloRequest(r.config)
	request.Features = []string{hello.FeatureGoAway}
	if err := hello.WriteRequest(conn, request); err != nil {
		return nil, err
	}
	info, err := hello.ReadAnswer(bufio.NewReader(conn))
	if err != nil {
		return nil, err
	}
	return plugin.NewSession(r.config, conn, info)
}

func outputRounds(t *testing.T, otherwise int) int {
	t.Helper()
	if text := os.Getenv(envOutputRounds); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", envOutputRounds, err)
		}
		return n
	}
	return otherwise
}

// What a plugin has written before its answer came is with the host, complete
// and in order, once the host has ended the output.
func TestOutputIsComplete(t *testing.T) {
	child := func(protocol plugin.Protocol, change func(*plugin.ClientConfig)) func(*testing.T) *outputRound {
		return func(*testing.T) *outputRound {
			cmd := exec.Command(os.Args[0])
			cmd.Env = printRole(protocol)
			cfg := &plugin.ClientConfig{Cmd: cmd}
			if change != nil {
				change(cfg)
			}
			return &outputRound{config: cfg, protocol: protocol}
		}
	}
	var pods sync.Map
	network := func(protocol plugin.Protocol, yamux bool) func(*testing.T) *outputRound {
		return func(t *testing.T) *outputRound {
			pod, ok := pods.Load(t)
			if !ok {
				pod = startPrintPod(t, protocol)
				pods.Store(t, pod)
			}
			return &outputRound{config: &plugin.ClientConfig{Reattach: &plugin.ReattachConfig{Addr: pod.(*printPod).addr}}, protocol: protocol, yamux: yamux}
		}
	}
	mortal := func(protocol plugin.Protocol, yamux bool) func(*testing.T) *outputRound {
		return func(t *testing.T) *outputRound {
			pod := startPrintPod(t, protocol)
			cfg := &plugin.ClientConfig{Reattach: &plugin.ReattachConfig{Addr: pod.addr}}
			return &outputRound{config: cfg, protocol: protocol, yamux: yamux, process: pod.cmd, stop: pod.stop}
		}
	}
	mtls := func(c *plugin.ClientConfig) { c.AutoMTLS = true }
	multiplexed := func(c *plugin.ClientConfig) { c.GRPCBrokerMultiplex = true }
	cases := map[string]struct {
		rounds int
		make   func(*testing.T) *outputRound
		run    func(*outputRound) error
		many   bool
	}{
		"child, net/rpc, Kill":                              {5, child(plugin.ProtocolNetRPC, nil), (*outputRound).killed, false},
		"child, net/rpc, plugin exits":                      {2, child(plugin.ProtocolNetRPC, nil), (*outputRound).exits, false},
		"child, net/rpc, plugin dies":                       {2, child(plugin.ProtocolNetRPC, nil), (*outputRound).dies, false},
		"child, net/rpc, AutoMTLS, Kill":                    {5, child(plugin.ProtocolNetRPC, mtls), (*outputRound).killed, false},
		"child, net/rpc, AutoMTLS, plugin exits":            {2, child(plugin.ProtocolNetRPC, mtls), (*outputRound).exits, false},
		"child, net/rpc, AutoMTLS, plugin dies":             {2, child(plugin.ProtocolNetRPC, mtls), (*outputRound).dies, false},
		"child, gRPC, Kill":                                 {5, child(plugin.ProtocolGRPC, nil), (*outputRound).killed, false},
		"child, gRPC, plugin exits":                         {2, child(plugin.ProtocolGRPC, nil), (*outputRound).exits, false},
		"child, gRPC, plugin dies":                          {2, child(plugin.ProtocolGRPC, nil), (*outputRound).dies, false},
		"child, gRPC, AutoMTLS, Kill":                       {5, child(plugin.ProtocolGRPC, mtls), (*outputRound).killed, false},
		"child, gRPC, AutoMTLS, plugin exits":               {2, child(plugin.ProtocolGRPC, mtls), (*outputRound).exits, false},
		"child, gRPC, AutoMTLS, plugin dies":                {2, child(plugin.ProtocolGRPC, mtls), (*outputRound).dies, false},
		"child, gRPC, multiplexed, Kill":                    {5, child(plugin.ProtocolGRPC, multiplexed), (*outputRound).killed, false},
		"child, gRPC, multiplexed, plugin exits":            {2, child(plugin.ProtocolGRPC, multiplexed), (*outputRound).exits, false},
		"child, gRPC, multiplexed, plugin dies":             {2, child(plugin.ProtocolGRPC, multiplexed), (*outputRound).dies, false},
		"network, mux, Kill":                                {20, network(plugin.ProtocolNetRPC, false), (*outputRound).killed, false},
		"network, mux, Close":                               {20, network(plugin.ProtocolNetRPC, false), (*outputRound).closed, false},
		"network, yamux, Close":                             {20, network(plugin.ProtocolNetRPC, true), (*outputRound).closed, false},
		"network, gRPC, Kill":                               {20, network(plugin.ProtocolGRPC, false), (*outputRound).killed, false},
		"network, gRPC, Close":                              {20, network(plugin.ProtocolGRPC, false), (*outputRound).closed, false},
		"network, mux, plugin exits":                        {2, mortal(plugin.ProtocolNetRPC, false), (*outputRound).exits, false},
		"network, mux, plugin dies":                         {2, mortal(plugin.ProtocolNetRPC, false), (*outputRound).dies, false},
		"network, mux, plugin leaves":                       {5, mortal(plugin.ProtocolNetRPC, false), (*outputRound).leaves, false},
		"network, yamux, plugin exits":                      {2, mortal(plugin.ProtocolNetRPC, true), (*outputRound).exits, false},
		"network, yamux, plugin dies":                       {2, mortal(plugin.ProtocolNetRPC, true), (*outputRound).dies, false},
		"network, yamux, plugin leaves":                     {5, mortal(plugin.ProtocolNetRPC, true), (*outputRound).leaves, false},
		"network, gRPC, plugin exits":                       {2, mortal(plugin.ProtocolGRPC, false), (*outputRound).exits, false},
		"network, gRPC, plugin dies":                        {2, mortal(plugin.ProtocolGRPC, false), (*outputRound).dies, false},
		"network, gRPC, plugin leaves":                      {5, mortal(plugin.ProtocolGRPC, false), (*outputRound).leaves, false},
		"child, net/rpc, plugin dies, many lines":           {1, child(plugin.ProtocolNetRPC, nil), (*outputRound).dies, true},
		"child, gRPC, plugin dies, many lines":              {1, child(plugin.ProtocolGRPC, nil), (*outputRound).dies, true},
		"child, gRPC, AutoMTLS, plugin dies, many lines":    {1, child(plugin.ProtocolGRPC, mtls), (*outputRound).dies, true},
		"child, gRPC, multiplexed, plugin dies, many lines": {1, child(plugin.ProtocolGRPC, multiplexed), (*outputRound).dies, true},
		"network, mux, plugin dies, many lines":             {1, mortal(plugin.ProtocolNetRPC, false), (*outputRound).dies, true},
		"network, yamux, plugin dies, many lines":           {1, mortal(plugin.ProtocolNetRPC, true), (*outputRound).dies, true},
		"network, gRPC, plugin dies, many lines":            {1, mortal(plugin.ProtocolGRPC, false), (*outputRound).dies, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rounds, failed := outputRounds(t, tc.rounds), 0
			began, slowest := time.Now(), time.Duration(0)
			for i := range rounds {
				var output printedOutput
				round := tc.make(t)
				round.out(&output)
				if round.lines = printedLines; tc.many {
					round.lines = manyLines
				}
				before := time.Now()
				err := tc.run(round)
				slowest = max(slowest, time.Since(before))
				if round.stop != nil {
					round.stop()
				}
				if err == nil {
					err = output.missing(round.lines)
				}
				if err != nil {
					failed++
					t.Logf("round %d: %v", i, err)
				}
			}
			t.Logf("%d of %d rounds complete, %v each, the slowest %v", rounds-failed, rounds,
				(time.Since(began) / time.Duration(rounds)).Round(time.Millisecond), slowest.Round(time.Millisecond))
			if failed > 0 {
				t.Errorf("output is missing in %d of %d rounds", failed, rounds)
			}
		})
	}
}
