// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// Directions of a connection.
const (
	ofHost = iota
	ofPlugin
)

// byteProxy is a network that passes one connection on, and ends it after so many bytes of
// one direction. Those of the handshake do not count.
type byteProxy struct {
	lis       net.Listener
	direction int
	after     int
	left      atomic.Int64
	cut       atomic.Bool
	answered  chan struct{} // closed: the handshake is over
	running   wait.Group
}

func newByteProxy(t *testing.T, target net.Addr, direction, left int) *byteProxy {
	t.Helper()
	return startProxy(t, target, direction, left, (*byteProxy).forward)
}

// startProxy starts one that passes each direction on by forward.
func startProxy(t *testing.T, target net.Addr, direction, left int, forward func(p *byteProxy, direction int, to io.Writer, from *bufio.Reader)) *byteProxy {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &byteProxy{lis: lis, direction: direction, after: left, answered: make(chan struct{})}
	p.left.Store(int64(left))
	p.running.Go(func() {
		here, err := lis.Accept()
		_ = lis.Close()
		if err != nil {
			return
		}
		defer here.Close()
		there, err := net.Dial(target.Network(), target.String())
		if err != nil {
			return
		}
		end := sync.OnceFunc(func() { _, _ = here.Close(), there.Close() })
		p.running.Go(func() { defer end(); forward(p, ofPlugin, here, bufio.NewReader(there)) })
		forward(p, ofHost, there, bufio.NewReader(here))
		end()
	})
	return p
}

func (p *byteProxy) forward(direction int, to io.Writer, from *bufio.Reader) {
	hello, err := from.ReadBytes('\n')
	if err == nil {
		_, err = to.Write(hello)
	}
	if direction == ofPlugin {
		close(p.answered)
	}
	<-p.answered
	for err == nil && (direction != p.direction || p.left.Load() > 0) {
		if _, err = from.Peek(1); err != nil {
			return
		}
		n := from.Buffered()
		if direction == p.direction {
			n = min(n, int(p.left.Load()))
			p.left.Add(-int64(n))
		}
		b, _ := from.Peek(n)
		_, err = to.Write(b)
		_, _ = from.Discard(n)
	}
	p.cut.Store(p.cut.Load() || err == nil)
}

// close waits until nothing is passed on any more.
func (p *byteProxy) close() { _ = p.lis.Close(); p.running.Wait() }

// cutSession uses a session in every way, and says what of that has failed.
type cutSession func(ctx context.Context, session *plugin.Session, stop func()) error

// endEverywhere has a session end after each byte of either direction: nobody hangs, what
// fails says that the connection was lost, and nothing is left of it.
func endEverywhere(t *testing.T, protocol plugin.Protocol, kind string, impl plugin.Plugin, serve func(*plugin.ServeConfig), use cutSession) {
	t.Run("bytes", func(t *testing.T) { cutEverywhere(t, protocol, kind, impl, serve, use, nil) })
	files := loopbackFiles(t)
	t.Run("records of TLS", func(t *testing.T) { cutEverywhere(t, protocol, kind, impl, serve, use, &files) })
}

// cutEverywhere does so with bytes of a plain connection, or with records if there are files
// for TLS.
func cutEverywhere(t *testing.T, protocol plugin.Protocol, kind string, impl plugin.Plugin, serve func(*plugin.ServeConfig), use cutSession, secure *tlsfile.Files) {
	goroutines := runtime.NumGoroutine()
	newCut, unit, trust := newByteProxy, "byte", (*tls.Config)(nil)
	if secure != nil {
		var err error
		newCut, unit = newRecordProxy, "place"
		trust, err = tlsfile.Client(tlsfile.Files{CA: secure.CA}, "", nil)
		must(t, err)
	}
	one := func(direction, after int) (whole bool) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		served := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		config := &plugin.ServeConfig{
			HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{kind: impl}, Logger: hclog.NewNullLogger(),
			Network: &plugin.NetworkConfig{Name: "cut", DrainTimeout: patience},
		}
		if secure != nil {
			config.Network.TLS = tlsfile.Files{Cert: secure.Cert, Key: secure.Key}
		}
		serve(config)
		go func() { served <- plugin.ServeListener(ctx, lis, config) }()
		proxy := newCut(t, lis.Addr(), direction, after)
		defer proxy.close()
		attempt, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		session, err := plugin.Attach(attempt, &plugin.ClientConfig{
			HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{kind: impl}, AllowedProtocols: []plugin.Protocol{protocol},
			Reattach: &plugin.ReattachConfig{Addr: proxy.lis.Addr()}, Logger: hclog.NewNullLogger(), SyncStdout: io.Discard, SyncStderr: io.Discard,
			TLSConfig: trust,
		})
		attached := err == nil
		if err == nil {
			err = use(attempt, session, stop)
			_ = session.Close()
		}
		stop()
		if ended := <-served; ended != nil {
			t.Errorf("after %s %d of direction %d ServeListener returned %v", unit, after, direction, ended)
		}
		if attempt.Err() != nil {
			t.Errorf("after %s %d of direction %d something hangs: %v", unit, after, direction, err)
		}
		// What is cut in the handshake has no session that could be lost.
		if err != nil && (!proxy.cut.Load() || (attached || secure == nil) && !errors.Is(err, plugin.ErrConnectionLost)) {
			t.Errorf("after %s %d of direction %d, cut %v: %v", unit, after, direction, proxy.cut.Load(), err)
		}
		return !proxy.cut.Load()
	}
	step := int64(1)
	if testing.Short() {
		step = 7
	}
	for direction := range 2 {
		if t.Failed() {
			return
		}
		var next atomic.Int64
		var whole atomic.Bool
		var workers wait.Group
		for range 8 {
			workers.Go(func() {
				for !whole.Load() && !t.Failed() {
					if one(direction, int(next.Add(step)-step)) {
						whole.Store(true)
					}
				}
			})
		}
		workers.Wait()
		t.Logf("direction %d: cut after each of %d %ss", direction, next.Load(), unit)
	}
	testkit.Eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// patience is more than a session takes that does not hang, on a machine that is busy.
const patience = time.Minute

// failed is a step that did not do what it should. A net/rpc client that knows of the loss
// already says it in its own way, as ErrConnectionLost documents.
func failed(step string, got any, err error) error {
	if err == nil {
		return fmt.Errorf("%s has come to %v", step, got)
	}
	if errors.Is(err, rpc.ErrShutdown) {
		err = fmt.Errorf("%w: %w", plugin.ErrConnectionLost, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// whileDraining is failed for a call that begins once the host knows that the plugin leaves.
// The plugin hangs up when it has had no call for a quarter of a second, and on a busy machine
// the host may come later than that.
func whileDraining(step, got, want string, err error) error {
	if got == want && err == nil {
		return nil
	}
	if err = failed(step+" while draining", got, err); errors.Is(err, plugin.ErrConnectionLost) {
		return nil
	}
	return err
}

// TestNetRPCEndsEverywhere has calls, a failure, a callback, a drain and an end.
func TestNetRPCEndsEverywhere(t *testing.T) {
	impl := &echoPlugin{newEchoImpl()}
	endEverywhere(t, plugin.ProtocolNetRPC, "echo", impl, func(*plugin.ServeConfig) {}, func(_ context.Context, session *plugin.Session, stop func()) error {
		raw, err := session.Dispense("echo")
		if err != nil {
			return failed("Dispense", raw, err)
		}
		echo := raw.(echoer)
		if got, err := echo.Echo("a"); got != "a" || err != nil {
			return failed("Echo", got, err)
		}
		if err := echo.Fail(); err == nil || err.Error() != errEcho.Error() {
			return failed("Fail", "success", err)
		}
		if got, err := echo.Via("back"); got != "back" || err != nil {
			return failed("Via", got, err)
		}
		stop()
		select {
		case <-session.Draining():
		case <-session.Done():
			return failed("draining", "an end", session.Err())
		}
		got, err := echo.Echo("b")
		return whileDraining("Echo", got, "b", err)
	})
}

// TestGRPCEndsEverywhere has calls, a failure, a stream, callbacks, a drain and an end.
func TestGRPCEndsEverywhere(t *testing.T) {
	impl := newRelay("plugin")
	close(impl.gate)
	go func() {
		for range impl.held {
		}
	}()
	defer close(impl.held)
	serve := func(o *plugin.ServeConfig) { o.GRPCServer = plugin.DefaultGRPCServer }
	endEverywhere(t, plugin.ProtocolGRPC, "relay", impl, serve, func(ctx context.Context, session *plugin.Session, stop func()) error {
		raw, err := session.Dispense("relay")
		if err != nil {
			return failed("Dispense", raw, err)
		}
		stub := raw.(*relay)
		if got, err := stub.call(ctx, "Name", "!"); got != "plugin!" || err != nil {
			return failed("Name", got, err)
		}
		if _, err := stub.call(ctx, "Busy", ""); status.Code(err) != codes.Unavailable || err.Error() != errBusy.Error() {
			return failed("Busy", "success", err)
		}
		stream, err := stub.count(ctx, "end")
		if err == nil {
			if err = stream.RecvMsg(new(wrapperspb.StringValue)); err == io.EOF {
				err = nil
			}
		}
		if err != nil {
			return failed("Count", stream, err)
		}
		if got, err := stub.callback(ctx, "Via", "host"); got != "host" || err != nil {
			return failed("Via", got, err)
		}
		if got, err := stub.opened(ctx, " itself"); got != "plugin itself" || err != nil {
			if status.Code(err) == codes.Unavailable && session.Err() != nil {
				err = errors.Join(err, session.Err()) // a gRPC connection of its own says it in its own way
			}
			return failed("Open", got, err)
		}
		stop()
		select {
		case <-session.Draining():
		case <-session.Done():
			return failed("draining", "an end", session.Err())
		}
		got, err := stub.call(ctx, "Name", "?")
		return whileDraining("Name", got, "plugin?", err)
	})
}

// TestOutputEndsEverywhere has a call that prints, with the session of its host cut after
// each byte: a call that has its answer has its output as well, and the plugin lives on.
func TestOutputEndsEverywhere(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		pod := startPrintPod(t, protocol)
		one := func(direction, after int) (whole bool) {
			proxy := newByteProxy(t, pod.addr, direction, after)
			defer proxy.close()
			out := new(printedOutput)
			session, err := plugin.Attach(t.Context(), &plugin.ClientConfig{
				HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"print": &printer{}}, AllowedProtocols: []plugin.Protocol{protocol},
				Reattach: &plugin.ReattachConfig{Addr: proxy.lis.Addr()}, Logger: hclog.NewNullLogger(), SyncStdout: &out.stdout, SyncStderr: &out.stderr,
			})
			must(t, err)
			raw, err := session.Dispense("print")
			if err == nil {
				err = raw.(*printer).call(1)
			}
			_ = session.Close()
			if err != nil && (!proxy.cut.Load() || !errors.Is(failed("Print", nil, err), plugin.ErrConnectionLost)) {
				t.Errorf("%s, after byte %d of direction %d, cut %v: %v", protocol, after, direction, proxy.cut.Load(), err)
			}
			// What calls have printed that got no answer may come as well.
			for name, got := range map[string]string{"stdout": out.stdout.String(), "stderr": out.stderr.String()} {
				if err == nil && !strings.HasSuffix(got, wantLines(name, 1)) {
					t.Errorf("%s, after byte %d of direction %d: %s is %q", protocol, after, direction, name, got)
				}
			}
			return !proxy.cut.Load()
		}
		for direction := range 2 {
			for n := 0; !t.Failed() && !one(direction, n); n++ {
			}
		}
		pod.stop()
		if code := pod.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s: the plugin ended with %d", protocol, code)
		}
	}
}
