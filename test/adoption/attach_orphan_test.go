// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
)

// orphanEnds is how long attach may take to notice that its host has ended, which it looks for
// every second, on a machine that is busy.
const orphanEnds = time.Minute

// TestAttachEndsWithHostWhileItStarts has a host that is killed while attach waits for something:
// attach must end instead of becoming the plugin of whoever is its parent then.
func TestAttachEndsWithHostWhileItStarts(t *testing.T) {
	cases := map[string]struct {
		reason string
		// prepare gives a target file, and what returns once attach waits. Resume ends that wait,
		// after the host has ended.
		prepare func(t *testing.T) (file string, waits <-chan struct{}, resume func())
	}{
		"target file": {"a volume may be slow to answer", slowTargetFile},
		"connection":  {"a plugin may be slow to answer", targetOf(silentPlugin)},
		"methods":     {"a plugin may be slow to say what its methods are", targetOf(tacitPlugin)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, waits, resume := tc.prepare(t)
			host := startShortHost(t, file)
			select {
			case <-waits:
			case said := <-host.ended:
				t.Fatalf("attach has ended before it waits: %s", said)
			}
			host.kill()
			resume()
			select {
			case said := <-host.ended:
				if strings.Contains(said, "|tcp|") || strings.Contains(said, "|unix|") {
					t.Errorf("%s: attach has offered itself to nobody: %s", tc.reason, said)
				}
			case <-time.After(orphanEnds):
				t.Errorf("%s: attach has outlived its host by %v", tc.reason, orphanEnds)
			}
		})
	}
}

// shortHost is a process that starts attach as its plugin and lives until it is killed.
type shortHost struct {
	kill  func()
	ended <-chan string // what attach has written, once it has ended
}

func startShortHost(t *testing.T, target string) shortHost {
	t.Helper()
	output, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The first line is the process that is to end with the shell.
	cmd := exec.Command("/bin/sh", "-c", `"$0" attach --file "$1" 2>&1 & echo $!; wait`, programs(t).basic(), target)
	cmd.Env = append(programs(t).env(), cookie, "PLUGIN_PROTOCOL_VERSIONS=1", "ATTACH_TIMEOUT=1h")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var attach int
	if _, err := fmt.Fscanln(output, &attach); err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(output) // until attach has closed it as well
		ended <- string(said)
	}()
	kill := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(func() {
		kill()
		_ = output.SetReadDeadline(time.Now())
		if !gone(attach) && t.Failed() {
			_ = syscall.Kill(attach, syscall.SIGKILL)
		}
		_ = output.Close()
	})
	return shortHost{kill, ended}
}

// slowTargetFile is a target file that cannot be read before resume.
func slowTargetFile(t *testing.T) (file string, waits <-chan struct{}, resume func()) {
	served := startPlugin(t, "grpc").address
	file = filepath.Join(t.TempDir(), "store.target")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan struct{})
	var to *os.File
	go func() {
		defer close(opened)
		to, _ = os.OpenFile(file, os.O_WRONLY, 0) // returns when attach has opened it as well
	}()
	return file, opened, func() {
		if _, err := fmt.Fprintf(to, "cookie: %s\ntarget: %s\n", cookie, served); err != nil {
			t.Error(err)
		}
		_ = to.Close()
	}
}

// targetOf is a target file for a plugin that keeps its hosts waiting.
func targetOf(serve func(t *testing.T, lis net.Listener, asked chan<- struct{})) func(*testing.T) (string, <-chan struct{}, func()) {
	return func(t *testing.T) (string, <-chan struct{}, func()) {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = lis.Close() })
		asked := make(chan struct{}, 1)
		serve(t, lis, asked)
		return link(t, "target: "+lis.Addr().String()) + ".target", asked, func() {}
	}
}

// silentPlugin takes a connection, and says nothing.
func silentPlugin(t *testing.T, lis net.Listener, asked chan<- struct{}) {
	go func() {
		c, err := lis.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
		asked <- struct{}{}
	}()
}

// tacitPlugin is a gRPC server that never heard of the handshake, and does not say what its
// methods are.
func tacitPlugin(t *testing.T, lis net.Listener, asked chan<- struct{}) {
	s := grpc.NewServer(grpc.StreamInterceptor(func(_ any, stream grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
		if strings.HasSuffix(info.FullMethod, "/ServerReflectionInfo") {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
		<-stream.Context().Done()
		return context.Cause(stream.Context())
	}))
	reflection.Register(s)
	go func() { _ = s.Serve(lis) }()
	t.Cleanup(s.Stop)
}
