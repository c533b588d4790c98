// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
)

// blockingWriter takes nothing until it is released.
type blockingWriter struct {
	release chan struct{}
	written chan struct{} // closed by the first Write
	first   sync.Once
}

func (w *blockingWriter) Write(p []byte) (int, error) {
	w.first.Do(func() { close(w.written) })
	<-w.release
	return len(p), nil
}

// endsInTime fails if an end waits for more than it may.
func endsInTime(t *testing.T, what string, end func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// A host whose writer takes nothing still gets rid of its plugin, and so does one
// whose plugin writes without end, and one whose plugin was stopped.
func TestOutputHoldsNoEndUp(t *testing.T) {
	for _, protocol := range []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC} {
		for name, placement := range map[string]func(*testing.T) *outputRound{
			"child": func(*testing.T) *outputRound {
				cmd := exec.Command(os.Args[0])
				cmd.Env = printRole(protocol)
				return &outputRound{config: &plugin.ClientConfig{Cmd: cmd}, protocol: protocol}
			},
			"network": func(t *testing.T) *outputRound {
				return &outputRound{config: &plugin.ClientConfig{Reattach: &plugin.ReattachConfig{Addr: startPrintPod(t, protocol).addr}}, protocol: protocol}
			},
		} {
			t.Run(name+", "+string(protocol)+", blocked writer", func(t *testing.T) {
				t.Parallel()
				round := placement(t)
				round.out(new(printedOutput))
				writer := &blockingWriter{release: make(chan struct{}), written: make(chan struct{})}
				defer close(writer.release)
				round.config.SyncStdout = writer
				client := plugin.NewClient(round.config)
				defer client.Kill()
				protocol, err := client.Client()
				if err != nil {
					t.Fatal(err)
				}
				if err := callPrinter(protocol, printedLines); err != nil {
					t.Fatal(err)
				}
				<-writer.written
				endsInTime(t, "Kill", client.Kill)
			})
			t.Run(name+", "+string(protocol)+", endless output", func(t *testing.T) {
				t.Parallel()
				round := placement(t)
				round.out(new(printedOutput))
				round.config.SyncStdout = io.Discard
				client := plugin.NewClient(round.config)
				defer client.Kill()
				protocol, err := client.Client()
				if err != nil {
					t.Fatal(err)
				}
				raw, err := protocol.Dispense("print")
				if err != nil {
					t.Fatal(err)
				}
				if err := raw.(*printer).call(printWithoutEnd); err != nil {
					t.Fatal(err)
				}
				endsInTime(t, "Kill", client.Kill)
			})
		}
		t.Run("network, "+string(protocol)+", silent plugin", func(t *testing.T) {
			t.Parallel()
			pod := startPrintPod(t, protocol)
			proxy := newCutProxy(t, pod.addr)
			round := &outputRound{config: &plugin.ClientConfig{Reattach: &plugin.ReattachConfig{Addr: proxy.addr()}}, protocol: protocol}
			round.out(new(printedOutput))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			session, err := plugin.Attach(ctx, round.config)
			if err != nil {
				t.Fatal(err)
			}
			proxy.freeze()
			endsInTime(t, "Close", func() { _ = session.Close() })
			if !errors.Is(session.Err(), plugin.ErrDetached) {
				t.Errorf("Err = %v", session.Err())
			}
		})
	}
}
