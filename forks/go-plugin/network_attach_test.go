// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/admission"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// Listeners of other packages have errors of their own for being closed.
func TestServeListenerOfAnotherPackage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- plugin.ServeListener(ctx, bufconn.Listen(1<<16), &plugin.ServeConfig{
			HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"echo": &echoPlugin{impl: newEchoImpl()}}, Logger: hclog.NewNullLogger(),
		})
	}()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("ServeListener = %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("ServeListener goes on with a listener that is closed")
	}
}

// evictedOnce is a listener whose first connection is closed from outside in
// the moment in which it is admitted, as a flood can do it.
type evictedOnce struct {
	net.Listener
	evicted bool
}

func (l *evictedOnce) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && !l.evicted {
		l.evicted = true
		conn = evictedConn{conn}
	}
	return conn, err
}

type evictedConn struct{ net.Conn }

func (c evictedConn) SetDeadline(d time.Time) error {
	if d.IsZero() {
		_ = c.Conn.Close()
	}
	return c.Conn.SetDeadline(d)
}

func TestEvictedConnectionFreesItsPlace(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- plugin.ServeListener(ctx, &evictedOnce{Listener: lis}, &plugin.ServeConfig{
			HandshakeConfig: testHandshake, Plugins: plugin.PluginSet{"echo": &echoPlugin{impl: newEchoImpl()}},
			Logger: hclog.NewNullLogger(), Network: &plugin.NetworkConfig{MaxSessions: 1, DrainTimeout: time.Hour},
		})
	}()
	p := &servedPlugin{addr: lis.Addr().(*net.TCPAddr)}
	if session, err := plugin.Attach(t.Context(), p.clientConfig()); err == nil {
		<-session.Done()
		_ = session.Close()
	}
	testkit.Eventually(t, "the only place is free again", func() bool {
		session, err := plugin.Attach(t.Context(), p.clientConfig())
		return err == nil && session.Close() == nil
	})
	cancel()
	if err := <-done; err != nil { // would take an hour
		t.Errorf("ServeListener = %v", err)
	}
}

// A plugin of app version 0 that speaks net/rpc only still answers the probes
// of a pod.
func TestProbeOfVersionZero(t *testing.T) {
	p := serveEcho(t, func(o *plugin.ServeConfig) { o.HandshakeConfig.ProtocolVersion = 0 })
	conn, err := grpc.NewClient(p.addr.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("probe = %v, %v", answer.GetStatus(), err)
	}
}

func TestHalfAPrefixIsNotSilence(t *testing.T) {
	var log lockedBuffer
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug})
	})
	conn, err := net.DialTCP("tcp", nil, p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("go-pl")); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	testkit.Eventually(t, "the log says how far it came", func() bool { return strings.Contains(log.String(), "broke off after 5 bytes") })
	if strings.Contains(log.String(), admission.ErrSilent.Error()) {
		t.Errorf("the log says that it said nothing:\n%s", log.String())
	}
}

// TestChildOfAutoMTLSIsNotServedInPlaintext is a host whose PLUGIN_HOST reached
// its child: the child was meant for that host alone.
func TestChildOfAutoMTLSIsNotServedInPlaintext(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{envRole + "=echo", "TEST_PLUGIN=hello", env.Host + "=127.0.0.1", env.ClientCert + "=certificate"}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if n, _ := stdout.Read(make([]byte, 100)); n > 0 {
		t.Fatal("it serves")
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(stderr.String(), env.ClientCert) || !strings.Contains(stderr.String(), env.TLSCert) {
		t.Errorf("exit %v, want a reason that names the variables:\n%s", err, stderr.String())
	}
}
