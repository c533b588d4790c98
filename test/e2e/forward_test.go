// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxForwards is how often a forwarding is begun before what ends it is taken for a fault.
const maxForwards = 20

// forwardHost is where the ports of the cluster are on this machine. A port is let go of and
// listened on again, so it is none of 127.0.0.1, whose ports are taken by connections.
const forwardHost = "127.0.0.2"

// port forwards a port of the cluster to this machine until the test ends, and gives its URL.
// kubectl ends a forwarding whose connection to the node is lost, and with it every request
// of the test: it is begun again at the same port.
func port(t *testing.T, namespace, what, number string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarding{namespace: namespace, what: what, number: number}
	first, err := f.begin(ctx, "")
	if err != nil {
		cancel()
		t.Fatalf("port-forward to %s gave no port: %v\n%s", what, err, f)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.keep(ctx, first)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			t.Logf("port-forward to %s: %s", what, f)
		}
	})
	return "http://" + net.JoinHostPort(forwardHost, first.port)
}

// forwarding is kubectl port-forward, as often as it takes.
type forwarding struct {
	namespace, what, number string

	mu   sync.Mutex
	said strings.Builder // by each kubectl, on both streams
}

// forwarder is one kubectl that forwards.
type forwarder struct {
	cmd   *exec.Cmd
	port  string        // on this machine
	ended chan struct{} // closed: all that it says is read
}

// String is what each kubectl has said.
func (f *forwarding) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.String()
}

// Write implements io.Writer.
func (f *forwarding) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.Write(p)
}

var forwardedFrom = regexp.MustCompile(`Forwarding from ` + regexp.QuoteMeta(forwardHost) + `:(\d+)`)

// begin returns when a port forwards: the given one, or any if that is empty.
func (f *forwarding) begin(ctx context.Context, port string) (*forwarder, error) {
	cmd := exec.CommandContext(ctx, "kubectl", "port-forward", "--address", forwardHost, "-n", f.namespace, f.what, port+":"+f.number)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(io.TeeReader(out, f))
	for lines.Scan() {
		if m := forwardedFrom.FindStringSubmatch(lines.Text()); m != nil {
			one := &forwarder{cmd, m[1], make(chan struct{})}
			go func() {
				defer close(one.ended)
				_, _ = io.Copy(io.Discard, out) // a line for each connection
			}()
			return one, nil
		}
	}
	return nil, fmt.Errorf("it ended before it forwarded: %v", cmd.Wait())
}

// keep begins again whenever the forwarding has ended, until ctx does.
func (f *forwarding) keep(ctx context.Context, one *forwarder) {
	port := one.port
	for begun := 1; ; begun++ {
		if one != nil {
			<-one.ended
			err := one.cmd.Wait()
			if ctx.Err() != nil {
				return
			}
			fmt.Fprintf(f, "it ended: %v\n", err)
		}
		if begun == maxForwards {
			fmt.Fprintf(f, "it was begun %d times, and is not begun again\n", begun)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second): // the pod may be away
		}
		var err error
		if one, err = f.begin(ctx, port); err != nil {
			fmt.Fprintf(f, "%v\n", err)
		}
	}
}
