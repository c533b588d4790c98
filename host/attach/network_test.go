// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

// networkAt is an endpoint of the plugin "zh".
func networkAt(address string) target.Endpoint {
	return target.Endpoint{
		ID: target.MakeID("zh", address), Plugin: "zh", Placement: target.Network, Address: address,
	}
}

func networkDialer(t testing.TB, change func(*attach.NetworkOptions)) conn.Dialer {
	t.Helper()
	opts := attach.NetworkOptions{Contract: contract()}
	if change != nil {
		change(&opts)
	}
	dialer, err := attach.Network(opts)
	if err != nil {
		t.Fatal(err)
	}
	return dialer
}

// startPlugin runs this test binary as a network plugin until the test ends,
// and returns its endpoint.
func startPlugin(t testing.TB, env ...string) target.Endpoint {
	t.Helper()
	cmd := exec.Command(self(t).Address)
	cmd.Env = append(os.Environ(), envRole+"=served", "BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1", "PLUGIN_NAME=served", quickExit)
	cmd.Env = append(cmd.Env, env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var reaper sync.WaitGroup
	reaper.Go(func() { _ = cmd.Wait() })
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		reaper.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	return networkAt(strings.Split(line, "|")[3])
}

// listen accepts connections until the test ends, and hands them to serve.
func listen(t testing.TB, serve func(net.Conn)) target.Endpoint {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		running.Wait()
	})
	return networkAt(lis.Addr().String())
}

// silent reads and says nothing, until the other side hangs up.
func silent(conn net.Conn) {
	buf := make([]byte, 1024)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// webServer answers whatever comes like a web server.
func webServer(conn net.Conn) {
	_, _ = bufio.NewReader(conn).ReadString('\n')
	_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
}

func TestNetworkConformance(t *testing.T) {
	for name, secured := range map[string]bool{"plain": false, "mutual TLS": true} {
		t.Run(name, func(t *testing.T) {
			var env []string
			files := newPKI(t, "zh")
			if secured {
				env = files.pluginEnv
			}
			dialertest.Run(t, dialertest.Harness{
				Dialer: func(t testing.TB, c attach.Contract) conn.Dialer {
					return networkDialer(t, func(o *attach.NetworkOptions) {
						o.Contract = c
						if secured {
							o.TLS = files.host
						}
					})
				},
				Endpoint:  func(t testing.TB) target.Endpoint { return startPlugin(t, env...) },
				NotPlugin: func(t testing.TB) target.Endpoint { return listen(t, webServer) },
				Stuck: func(t testing.TB) (target.Endpoint, func() bool) {
					var reached atomic.Bool
					return listen(t, func(conn net.Conn) {
						reached.Store(true)
						silent(conn)
					}), reached.Load
				},
				Describes:  true,
				OwnProcess: true,
			})
		})
	}
}

// inTest serves the plugin inside the test and returns its endpoint and how to
// tell it to leave.
func inTest(t *testing.T, change func(*plugin.ServeConfig)) (target.Endpoint, context.CancelFunc) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := served.Config(hclog.NewNullLogger())
	config.Network = &plugin.NetworkConfig{Name: "in-test", DrainTimeout: time.Second}
	if change != nil {
		change(config)
	}
	ctx, leave := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plugin.ServeListener(ctx, lis, config) }()
	t.Cleanup(func() {
		leave()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return networkAt(lis.Addr().String()), leave
}

func TestNetworkDrain(t *testing.T) {
	e, leave := inTest(t, nil)
	session, err := networkDialer(t, nil).Dial(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	leave()
	<-session.Draining()
	<-session.Done()
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the session ended with %v, want ErrConnectionLost", err)
	}
}

// TestNetworkBusy holds that a refusal which passes is not permanent.
func TestNetworkBusy(t *testing.T) {
	e, _ := inTest(t, func(c *plugin.ServeConfig) { c.Network.MaxSessions = 1 })
	dialer := networkDialer(t, nil)
	first, err := dialer.Dial(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dialer.Dial(t.Context(), e)
	refused, ok := errors.AsType[*plugin.RefusedError](err)
	if !ok || refused.Code != "busy" || errors.Is(err, conn.ErrPermanent) {
		t.Errorf("dial a plugin that is full: %v, want a refusal that is not permanent", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	kit.Until(t, patience, "there is room again", func() bool {
		session, err := dialer.Dial(t.Context(), e)
		if err != nil {
			return false
		}
		return session.Close() == nil
	})
}

// TestNetworkNames holds that a name is looked up by the dialer.
func TestNetworkNames(t *testing.T) {
	e, _ := inTest(t, nil)
	_, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		t.Fatal(err)
	}
	session, err := networkDialer(t, nil).Dial(t.Context(), networkAt("localhost:"+port))
	if err != nil {
		t.Fatal(err)
	}
	if got := greetOnce(t, session, "Ada"); got != "Hello Ada" {
		t.Errorf("greeting %q", got)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	_, err = networkDialer(t, nil).Dial(t.Context(), networkAt("plugin.invalid:7000"))
	if err == nil || !strings.Contains(err.Error(), "plugin.invalid") || errors.Is(err, conn.ErrPermanent) {
		t.Errorf("a name that does not exist: %v", err)
	}
}

// deadlined is a context whose deadline is when over is closed.
type deadlined struct {
	context.Context
	over chan struct{}
}

func (d deadlined) Done() <-chan struct{} { return d.over }
func (d deadlined) Err() error {
	select {
	case <-d.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestNetworkTimeout(t *testing.T) {
	e := listen(t, silent)
	_, err := networkDialer(t, func(o *attach.NetworkOptions) { o.Timeout = 100 * time.Millisecond }).Dial(t.Context(), e)
	if err == nil || !strings.Contains(err.Error(), e.Address) || errors.Is(err, conn.ErrPermanent) {
		t.Errorf("a peer that says nothing: %v", err)
	}
	// At the caller's deadline it is told in the same words, and once.
	late := deadlined{t.Context(), make(chan struct{})}
	e = listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1024))
		close(late.over)
		silent(conn)
	})
	_, err = networkDialer(t, nil).Dial(late, e)
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "deadline exceeded") || !strings.Contains(err.Error(), "no answer to the handshake within") {
		t.Errorf("a peer that says nothing until the caller's deadline: %v", err)
	}
}

func TestContractIsChecked(t *testing.T) {
	good := contract()
	cases := map[string]struct {
		reason string
		change func(*attach.Contract)
		want   string
	}{
		"no cookie":   {"plugins refuse everybody without it", func(c *attach.Contract) { c.Handshake = plugin.HandshakeConfig{} }, "MagicCookieKey"},
		"no versions": {"there is nothing to agree on", func(c *attach.Contract) { c.Versions = nil }, "Contract.Versions"},
		"protocol":    {"a typing mistake", func(c *attach.Contract) { c.Protocols = []plugin.Protocol{"http"} }, `"http"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := good
			tc.change(&c)
			_, network := attach.Network(attach.NetworkOptions{Contract: c})
			_, child := attach.Child(attach.ChildOptions{Contract: c})
			for _, err := range []error{network, child} {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%s: %v, want %q", tc.reason, err, tc.want)
				}
			}
		})
	}
}

// TestNoSocket has something else in the place of a plugin's unix socket.
func TestNoSocket(t *testing.T) {
	dialer := networkDialer(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a directory: name the socket in it", file: "is no socket"} {
		_, err := dialer.Dial(t.Context(), target.Endpoint{ID: "a", Plugin: "a", Address: "unix://" + path, Placement: target.Network})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
