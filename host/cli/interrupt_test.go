// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// runInterrupted runs a command line that is interrupted once busy is closed, and
// holds that it says so, and soon.
func runInterrupted(t *testing.T, program Options, busy <-chan struct{}, args ...string) string {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	program.silent = make(chan struct{}) // it says only that
	var stdout, stderr strings.Builder
	code := make(chan int, 1)
	go func() { code <- program.run(ctx, args, &stdout, &stderr) }()
	for {
		select {
		case <-busy:
			interrupt()
			busy = nil
		case got := <-code:
			if got != exitInterrupted || stderr.String() != "basic: interrupted\n" {
				t.Errorf("got exit code %d, want %d\n%s%s", got, exitInterrupted, &stdout, &stderr)
			}
			return stdout.String()
		case <-time.After(20 * time.Second):
			t.Fatal("it goes on")
		}
	}
}

// muteAddress is where somebody listens and says nothing. asked is closed when the
// first handshake comes.
func muteAddress(t *testing.T) (address string, asked <-chan struct{}) {
	t.Helper()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	came := make(chan struct{})
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if n, _ := c.Read(make([]byte, 1)); n > 0 {
				close(came)
				return
			}
		}
	}()
	return mute.Addr().String(), came
}

// TestInterruptedProbe: a hop that was cut short is not one that failed.
func TestInterruptedProbe(t *testing.T) {
	t.Setenv("ATTACH_TIMEOUT", "1h")
	address, asked := muteAddress(t)
	if said := runInterrupted(t, basic(), asked, "probe", address); strings.Contains(said, "FAIL") {
		t.Errorf("a hop has failed:\n%s", said)
	}
}

// stuck is a greeter that answers when it is let go.
type stuck struct {
	speaker
	asked, let chan struct{}
}

func (s stuck) Greet(string) (string, error) {
	close(s.asked)
	<-s.let
	return "", nil
}

// TestInterruptedCalls: what is asked of a plugin without a context ends with the
// program as well.
func TestInterruptedCalls(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("CALL_TIMEOUT", "1h")
	program := basic()
	program.OnceReady = func(ctx context.Context, d *daemon.Daemon, plugin string, _ io.Writer) error {
		greeter, err := daemon.Dispense[commons.Greeter](ctx, d, plugin, commons.GreeterKind)
		if err != nil {
			return err
		}
		_, err = greeter.Greet("Ada")
		return err
	}
	for name, args := range map[string][]string{"once": {}, "call": {"call", "zh", "greeter.Greet", "Ada"}} {
		t.Run(name, func(t *testing.T) {
			s := stuck{asked: make(chan struct{}), let: make(chan struct{})}
			t.Setenv("NETWORK_PLUGIN", "zh="+servePlugin(t, plugin.ServeConfig{
				HandshakeConfig:  commons.Handshake(),
				VersionedPlugins: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: s}}),
			}))
			defer close(s.let)
			runInterrupted(t, program, s.asked, args...)
		})
	}
}

// TestInterruptedAttach: nothing is said of a plugin that was still being attached to.
func TestInterruptedAttach(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("ATTACH_TIMEOUT", "1h")
	for name, args := range map[string][]string{"once": {}, "plugins": {"plugins"}, "call": {"call", "zh", "greeter.Greet", "Ada"}} {
		t.Run(name, func(t *testing.T) {
			address, asked := muteAddress(t)
			t.Setenv("NETWORK_PLUGIN", "zh="+address)
			if said := runInterrupted(t, basic(), asked, args...); said != "" {
				t.Errorf("it says %q", said)
			}
		})
	}
}
