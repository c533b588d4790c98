// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// childServer is a plugin that serves the one host which started it.
type childServer struct {
	opts     *ServeConfig
	logger   hclog.Logger
	version  servedVersion
	listener net.Listener
	tls      *tls.Config
	cert     string // printed for the host, with AutoMTLS
	hello    bool   // the host is told that it can shake hands
	protocol ServerProtocol
	done     chan struct{}
}

// serveChild serves until the host asks for the end.
func serveChild(opts *ServeConfig, logger hclog.Logger) error {
	parent := os.Getppid()
	endsWithHost := child.TakeEndWithHost()
	stdout, stderr, err := outputPipes()
	if err != nil {
		return err
	}
	s, err := newChildServer(opts, logger, stdout, stderr, stdio.Pipes{stdout, stderr}, child.TakeHello())
	if err != nil {
		return err
	}
	defer s.listener.Close()

	// A terminal sends its interrupt to the plugin too, and the host decides
	// what becomes of it. Nobody reads the channel: signal.Ignore would do the
	// same, but what the plugin executes would inherit it.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)

	fmt.Println(s.line())
	_ = os.Stdout.Sync()
	os.Stdout, os.Stderr = stdout.W, stderr.W
	if opts.Started != nil {
		opts.Started(stdout.W, stderr.W)
	}

	ended := make(chan struct{})
	defer close(ended)
	if endsWithHost {
		go child.AwaitParentEnd(parent, ended, func() {
			_ = s.listener.Close()
			os.Exit(1)
		})
	}
	go s.protocol.Serve(s.listener)
	select {
	case <-s.done:
	case <-opts.Stop:
	}
	return nil
}

// newChildServer does everything that can fail before the host hears of the
// plugin. shakesHands says that the host can shake hands.
func newChildServer(opts *ServeConfig, logger hclog.Logger, stdout, stderr io.Reader, pipes stdio.Pipes, shakesHands bool) (*childServer, error) {
	hostVersions := child.VersionsFromEnv(logger)
	version, err := versionForHost(servedVersions(opts), hostVersions)
	if err != nil {
		return nil, err
	}
	s := &childServer{opts: opts, logger: logger, version: version, done: make(chan struct{})}
	// What hands on needs of its host what the original library's hosts say: over net/rpc
	// the connections of kinds, over gRPC which ids they accept.
	_, handsOn := version.plugins[AnyKind]
	s.hello = shakesHands && !handsOn
	if err := s.configureTLS(); err != nil {
		return nil, err
	}
	if s.listener, err = listen.Local(listen.SocketsFromEnv()); err != nil {
		return nil, err
	}
	if s.hello {
		s.protocol, err = newChildSessions(opts, s.tls, hostVersions, logger, stdio.NewSource(stdout, stderr, pipes), func() { close(s.done) })
	} else {
		s.configureProtocol(stdout, stderr, pipes)
	}
	if err == nil {
		err = s.protocol.Init()
	}
	if err != nil {
		_ = s.listener.Close()
		return nil, fmt.Errorf("prepare %s: %w", version.protocol, err)
	}
	logger.Debug("plugin address", "network", s.listener.Addr().Network(), "address", s.listener.Addr().String())
	return s, nil
}

func (s *childServer) configureTLS() error {
	if s.opts.TLSProvider != nil {
		var err error
		if s.tls, err = s.opts.TLSProvider(); err != nil {
			return fmt.Errorf("TLSProvider: %w", err)
		}
	}
	host := os.Getenv(env.ClientCert)
	if s.tls != nil || host == "" {
		return nil
	}
	cert, err := child.NewCertificate()
	if err != nil {
		return err
	}
	s.cert = cert.Line()
	s.tls, err = cert.ServerConfig(host)
	return err
}

func (s *childServer) configureProtocol(stdout, stderr io.Reader, pipes stdio.Pipes) {
	if s.version.protocol == ProtocolNetRPC {
		if s.tls != nil {
			s.listener = tls.NewListener(s.listener, s.tls)
		}
		before := new(stdio.Barrier)
		before.Follow(pipes)
		s.protocol = &RPCServer{Plugins: s.version.plugins, Stdout: stdout, Stderr: stderr, DoneCh: s.done, before: before, around: s.opts.Around}
		return
	}
	server := &GRPCServer{
		Plugins: s.version.plugins,
		Server:  s.opts.GRPCServer,
		TLS:     s.tls,
		DoneCh:  s.done,
		Stdout:  stdout,
		Stderr:  stderr,
		logger:  s.logger,
		pipes:   pipes,
		around:  s.opts.Around,
	}
	// Whether brokered connections are to go through the one connection.
	if on, _ := strconv.ParseBool(os.Getenv(env.MultiplexGRPC)); on {
		server.multiplexer = multiplex.NewPlugin(s.logger, s.listener)
		s.listener = server.multiplexer
	}
	s.protocol = server
}

func (s *childServer) line() child.Line {
	line := child.Line{
		Version:  s.version.version,
		Network:  s.listener.Addr().Network(),
		Address:  s.listener.Addr().String(),
		Protocol: string(s.version.protocol),
		Cert:     s.cert,
		Hello:    s.hello,
	}
	if os.Getenv(env.MultiplexGRPC) != "" {
		line.Multiplex = "true"
	}
	return line
}

// outputPipes returns what takes the place of os.Stdout and os.Stderr.
func outputPipes() (stdout, stderr *stdio.Pipe, err error) {
	if stdout, err = stdio.NewPipe(); err == nil {
		stderr, err = stdio.NewPipe()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("make pipes for the plugin's output: %w", err)
	}
	return stdout, stderr, nil
}

// teedPipe also writes what is read of a pipe somewhere else.
type teedPipe struct {
	io.Reader
	stdio.Finisher
}

func teePipe(p *stdio.Pipe, to io.Writer) io.Reader { return teedPipe{io.TeeReader(p, to), p} }

// serveTest serves inside a test until its context ends.
func serveTest(opts *ServeConfig) {
	test := opts.Test
	if test.CloseCh != nil {
		defer close(test.CloseCh)
	}
	logger := opts.logger()
	if err := serveInTest(opts, logger); err != nil {
		logger.Error("plugin ends", "error", err)
	}
}

func serveInTest(opts *ServeConfig, logger hclog.Logger) error {
	stdout, stderr, err := outputPipes()
	if err != nil {
		return err
	}
	defer func() {
		_, _ = stdout.Close(), stderr.Close()
	}()
	// What the test writes still belongs on its own output.
	s, err := newChildServer(opts, logger, teePipe(stdout, os.Stdout), teePipe(stderr, os.Stderr), stdio.Pipes{stdout, stderr}, false)
	if err != nil {
		return err
	}
	defer s.listener.Close()

	if ch := opts.Test.ReattachConfigCh; ch != nil {
		ch <- &ReattachConfig{
			Protocol:        s.version.protocol,
			ProtocolVersion: s.version.version,
			Addr:            s.listener.Addr(),
			Pid:             os.Getpid(),
			Test:            true,
		}
	}
	if opts.Test.SyncStdio {
		defer func(out, err *os.File) { os.Stdout, os.Stderr = out, err }(os.Stdout, os.Stderr)
		os.Stdout, os.Stderr = stdout.W, stderr.W
	}
	go s.protocol.Serve(s.listener)
	s.wait(opts.Test.Context)
	return nil
}

// wait returns when the host or the test has ended the plugin.
func (s *childServer) wait(ctx context.Context) {
	if ctx == nil {
		ctx = context.Background()
	}
	select {
	case <-s.done:
		return
	case <-ctx.Done():
	}
	_ = s.listener.Close()
	if server, ok := s.protocol.(*GRPCServer); ok {
		server.Stop()
	}
	<-s.done
}
