// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// envOutputRounds is how often TestOutputIsComplete tries each of its cells. The
// long run of 1,000 is
//
//	OUTPUT_ROUNDS=1000 go test -run TestOutputIsComplete -timeout 2h -v .
const envOutputRounds = "OUTPUT_ROUNDS"

// outputRound is one host's life with a plugin.
type outputRound struct {
	config   *ClientConfig
	protocol Protocol
	yamux    bool // without the feature rpc-mux
	quit     func()
}

func (r *outputRound) out(o *printedOutput) {
	r.config.HandshakeConfig = testHandshake
	r.config.Plugins = PluginSet{"print": &printer{}}
	r.config.AllowedProtocols = []Protocol{r.protocol}
	r.config.Logger = hclog.NewNullLogger()
	r.config.SyncStdout, r.config.SyncStderr = &o.stdout, &o.stderr
}

func printLinesOf(d interface {
	Dispense(string) (interface{}, error)
}) error {
	raw, err := d.Dispense("print")
	if err != nil {
		return err
	}
	return raw.(*printer).call(printedLines)
}

// killed ends the plugin, or the session with one of the network, by Kill.
func (r *outputRound) killed() error {
	client := NewClient(r.config)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	return printLinesOf(protocol)
}

// exited lets the plugin exit by itself once it has answered.
func (r *outputRound) exited() error {
	client := NewClient(r.config)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	if err := printLinesOf(protocol); err != nil {
		return err
	}
	r.quit()
	session, err := client.Session()
	if err != nil {
		<-client.Done()
		return nil
	}
	<-session.Done()
	return nil
}

// closed detaches.
func (r *outputRound) closed() error {
	session, err := r.attach()
	if err != nil {
		return err
	}
	defer session.Close()
	return printLinesOf(session)
}

func (r *outputRound) attach() (*Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !r.yamux {
		return Attach(ctx, r.config)
	}
	cfg := r.config.withDefaults()
	conn, err := dialPlugin(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	request := helloRequest(&cfg)
	request.Features = []string{featureGoAway}
	if err := hello.WriteRequest(conn, request); err != nil {
		return nil, err
	}
	info, err := hello.ReadAnswer(bufio.NewReader(conn))
	if err != nil {
		return nil, err
	}
	return newSession(cfg, conn, info)
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
	child := func(protocol Protocol, change func(*ClientConfig)) func(*testing.T) *outputRound {
		return func(*testing.T) *outputRound {
			cmd := exec.Command(os.Args[0])
			cmd.Env = printRole(protocol)
			cfg := &ClientConfig{Cmd: cmd}
			if change != nil {
				change(cfg)
			}
			return &outputRound{config: cfg, protocol: protocol}
		}
	}
	var pods sync.Map
	network := func(protocol Protocol, yamux bool) func(*testing.T) *outputRound {
		return func(t *testing.T) *outputRound {
			pod, ok := pods.Load(t)
			if !ok {
				pod = startPrintPod(t, protocol)
				pods.Store(t, pod)
			}
			return &outputRound{config: &ClientConfig{Reattach: &ReattachConfig{Addr: pod.(*printPod).addr}}, protocol: protocol, yamux: yamux}
		}
	}
	leaving := func(protocol Protocol) func(*testing.T) *outputRound {
		return func(t *testing.T) *outputRound {
			pod := startPrintPod(t, protocol)
			cfg := &ClientConfig{Reattach: &ReattachConfig{Addr: pod.addr}}
			return &outputRound{config: cfg, protocol: protocol, quit: func() { _ = pod.cmd.Process.Signal(syscall.SIGTERM) }}
		}
	}
	mtls := func(c *ClientConfig) { c.AutoMTLS = true }
	mux := func(c *ClientConfig) { c.GRPCBrokerMultiplex = true }
	cases := map[string]struct {
		rounds int
		make   func(*testing.T) *outputRound
		run    func(*outputRound) error
	}{
		"child, net/rpc, Kill":            {5, child(ProtocolNetRPC, nil), (*outputRound).killed},
		"child, net/rpc, AutoMTLS, Kill":  {5, child(ProtocolNetRPC, mtls), (*outputRound).killed},
		"child, gRPC, Kill":               {5, child(ProtocolGRPC, nil), (*outputRound).killed},
		"child, gRPC, AutoMTLS, Kill":     {5, child(ProtocolGRPC, mtls), (*outputRound).killed},
		"child, gRPC, multiplexed, Kill":  {5, child(ProtocolGRPC, mux), (*outputRound).killed},
		"network, rpc-mux, Kill":          {20, network(ProtocolNetRPC, false), (*outputRound).killed},
		"network, rpc-mux, Close":         {20, network(ProtocolNetRPC, false), (*outputRound).closed},
		"network, yamux, Close":           {20, network(ProtocolNetRPC, true), (*outputRound).closed},
		"network, gRPC, Kill":             {20, network(ProtocolGRPC, false), (*outputRound).killed},
		"network, gRPC, Close":            {20, network(ProtocolGRPC, false), (*outputRound).closed},
		"network, rpc-mux, plugin leaves": {5, leaving(ProtocolNetRPC), (*outputRound).exited},
		"network, gRPC, plugin leaves":    {5, leaving(ProtocolGRPC), (*outputRound).exited},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rounds, failed := outputRounds(t, tc.rounds), 0
			began, slowest := time.Now(), time.Duration(0)
			for i := range rounds {
				var output printedOutput
				round := tc.make(t)
				round.out(&output)
				before := time.Now()
				err := tc.run(round)
				slowest = max(slowest, time.Since(before))
				if err == nil {
					err = output.missing()
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
