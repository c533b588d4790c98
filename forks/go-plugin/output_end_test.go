// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// envOutputRounds is how often TestOutputIsComplete tries each of its cells. The
// long run of 1,000 is
//
//	OUTPUT_ROUNDS=1000 go test -run TestOutputIsComplete -timeout 2h -v .
const envOutputRounds = "OUTPUT_ROUNDS"

// printedLines is how many lines a plugin writes to each stream in a call.
const printedLines = 500

// printer is a plugin that writes lines, of both protocols, and its stub.
type printer struct {
	call func(n int) error
}

// printLines writes n lines to each stream, or without end if n is negative.
func printLines(n int) {
	if n < 0 {
		go printLines(1 << 60)
		return
	}
	for i := range n {
		fmt.Printf("line %d of stdout, as long as a line of a log usually is\n", i)
		fmt.Fprintf(os.Stderr, "line %d of stderr, as long as a line of a log usually is\n", i)
	}
}

// wantLines is what one stream has then.
func wantLines(stream string, n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "line %d of %s, as long as a line of a log usually is\n", i, stream)
	}
	return all.String()
}

func (p *printer) Server(*MuxBroker) (interface{}, error) { return &printServer{}, nil }

func (p *printer) Client(_ *MuxBroker, c *rpc.Client) (interface{}, error) {
	return &printer{call: func(n int) error { return c.Call("Plugin.Print", n, &struct{}{}) }}, nil
}

type printServer struct{}

func (*printServer) Print(n int, _ *struct{}) error {
	printLines(n)
	return nil
}

func (p *printer) GRPCServer(_ *GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Printer",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Print", Handler: func(_ any, ctx context.Context, dec func(any) error, icpt grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.Int64Value)
			if err := dec(in); err != nil {
				return nil, err
			}
			return icpt(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/test.Printer/Print"}, func(context.Context, any) (any, error) {
				printLines(int(in.GetValue()))
				return in, nil
			})
		}}},
	}, p)
	return nil
}

func (p *printer) GRPCClient(_ context.Context, _ *GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return &printer{call: func(n int) error {
		return conn.Invoke(context.Background(), "/test.Printer/Print", wrapperspb.Int64(int64(n)), new(wrapperspb.Int64Value))
	}}, nil
}

// printedOutput takes what a plugin writes, as slowly as a busy machine.
type printedOutput struct{ stdout, stderr linesBuffer }

type linesBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *linesBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *linesBuffer) lines() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// missing says which stream is not complete.
func (o *printedOutput) missing() error {
	var errs []error
	for stream, buf := range map[string]*linesBuffer{"stdout": &o.stdout, "stderr": &o.stderr} {
		if got, want := buf.lines(), wantLines(stream, printedLines); got != want {
			errs = append(errs, fmt.Errorf("%s has %d of %d lines", stream, strings.Count(got, "\n"), printedLines))
		}
	}
	return errors.Join(errs...)
}

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

// printRole is the environment of this test binary as a plugin that prints.
func printRole(protocol Protocol) []string {
	return []string{envRole + "=print-" + string(protocol), "GORACE=atexit_sleep_ms=0"}
}

// playPrinter is main of that plugin.
func playPrinter(protocol Protocol) {
	opts := &ServeConfig{HandshakeConfig: testHandshake, Plugins: PluginSet{"print": &printer{}}, Logger: hclog.NewNullLogger()}
	if protocol == ProtocolGRPC {
		opts.GRPCServer = DefaultGRPCServer
	}
	serveWith(opts, os.Getenv(envServer))
}

// envServer names what a gRPC server of a plugin does to its connections.
const envServer = "TEST_PLUGIN_SERVER"

func serveWith(opts *ServeConfig, server string) {
	var own []grpc.ServerOption
	switch server {
	case "bounds their age":
		own = append(own, grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: time.Second, MaxConnectionAgeGrace: 200 * time.Millisecond,
		}))
	case "allows few pings":
		own = append(own, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Hour}))
	}
	if server != "" {
		opts.Plugins["relay"] = newRelay("plugin")
		opts.GRPCServer = func(options []grpc.ServerOption) *grpc.Server { return grpc.NewServer(append(options, own...)...) }
	}
	Serve(opts)
}

// printPod is a network plugin in a process of its own.
type printPod struct {
	cmd  *exec.Cmd
	addr net.Addr
}

// startPrintPod starts one that serves as env says, else on the loopback address.
func startPrintPod(t *testing.T, protocol Protocol, env ...string) *printPod {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), printRole(protocol)...)
	cmd.Env = append(cmd.Env, testHandshake.MagicCookieKey+"="+testHandshake.MagicCookieValue)
	if env == nil {
		env = []string{envHost + "=127.0.0.1"}
	}
	cmd.Env = append(cmd.Env, env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	said, err := parseChildLine(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	var addr net.Addr = &net.UnixAddr{Net: "unix", Name: said.address}
	if said.network == "tcp" {
		if addr, err = net.ResolveTCPAddr("tcp", said.address); err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = lines.WriteTo(discarding{})
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		_ = cmd.Wait()
	})
	return &printPod{cmd, addr}
}

type discarding struct{}

func (discarding) Write(p []byte) (int, error) { return len(p), nil }

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
