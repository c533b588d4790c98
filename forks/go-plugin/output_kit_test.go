// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
)

// printedLines is how many lines a plugin writes to each stream in a call.
const printedLines = 500

// manyLines is more than the host of a gRPC stream makes room for at first.
const manyLines = 5000

// printer is a plugin that writes lines, of both protocols, and its stub.
type printer struct {
	call func(n int) error
}

// What a plugin does instead of printing so many lines.
const (
	printWithoutEnd = -1
	exitAtOnce      = -2
	logOneLine      = -3 // to where the process's stderr goes, as loggers do
)

var stderrAtStart = os.Stderr

// printLines writes n lines to each stream.
func printLines(n int) {
	switch n {
	case printWithoutEnd:
		go printLines(1 << 60)
		return
	case exitAtOnce:
		os.Exit(0)
	case logOneLine:
		fmt.Fprintln(stderrAtStart, "one line of the log")
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

func (p *printer) Server(*plugin.MuxBroker) (interface{}, error) { return &printServer{}, nil }

func (p *printer) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &printer{call: func(n int) error { return c.Call("Plugin.Print", n, &struct{}{}) }}, nil
}

type printServer struct{}

func (*printServer) Print(n int, _ *struct{}) error {
	printLines(n)
	return nil
}

func (p *printer) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
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

func (p *printer) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return &printer{call: func(n int) error {
		return conn.Invoke(context.Background(), "/test.Printer/Print", wrapperspb.Int64(int64(n)), new(wrapperspb.Int64Value))
	}}, nil
}

// printedOutput takes what a plugin writes.
type printedOutput struct{ stdout, stderr lockedBuffer }

// missing says which stream does not have so many lines.
func (o *printedOutput) missing(lines int) error {
	var errs []error
	for stream, buf := range map[string]*lockedBuffer{"stdout": &o.stdout, "stderr": &o.stderr} {
		if got, want := buf.String(), wantLines(stream, lines); got != want {
			errs = append(errs, fmt.Errorf("%s has %d of %d lines", stream, strings.Count(got, "\n"), lines))
		}
	}
	return errors.Join(errs...)
}

// printRole is the environment of this test binary as a plugin that prints.
func printRole(protocol plugin.Protocol) []string {
	return []string{envRole + "=print-" + string(protocol), "GORACE=atexit_sleep_ms=0"}
}

// playPrinter is main of that plugin.
func playPrinter(protocol plugin.Protocol) {
	opts := &plugin.ServeConfig{HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"print": &printer{}}, Logger: hclog.NewNullLogger()}
	if protocol == plugin.ProtocolGRPC {
		opts.GRPCServer = plugin.DefaultGRPCServer
	}
	serveWith(opts, os.Getenv(envServer))
}

// envServer names what a gRPC server of a plugin does to its connections.
const envServer = "TEST_PLUGIN_SERVER"

func serveWith(opts *plugin.ServeConfig, server string) {
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
	plugin.Serve(opts)
}

// printPod is a network plugin in a process of its own.
type printPod struct {
	cmd  *exec.Cmd
	addr net.Addr
	stop func() // ends it and waits; may be called again
}

// startPrintPod starts one that serves as env says, else on the loopback address.
func startPrintPod(t *testing.T, protocol plugin.Protocol, vars ...string) *printPod {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), printRole(protocol)...)
	cmd.Env = append(cmd.Env, testHandshake.MagicCookieKey+"="+testHandshake.MagicCookieValue)
	if vars == nil {
		vars = []string{env.Host + "=127.0.0.1"}
	}
	cmd.Env = append(cmd.Env, vars...)
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
	said, err := child.ParseLine(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	var addr net.Addr = &net.UnixAddr{Net: "unix", Name: said.Address}
	if said.Network == "tcp" {
		if addr, err = net.ResolveTCPAddr("tcp", said.Address); err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, lines)
	}()
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return &printPod{cmd, addr, stop}
}
