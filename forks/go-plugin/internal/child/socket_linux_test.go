// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// TestSocketClosesBesideADial closes the socket of a plugin that has ended while a
// connection to it is being made that nobody answers.
func TestSocketClosesBesideADial(t *testing.T) {
	r := play(t, "crash")
	if _, err := r.Run(t.Context(), r.runner, false); err != nil {
		t.Fatal(err)
	}
	<-r.Context().Done()
	addr := testkit.SilentServer(t)
	socket := child.NewSocket(addr, net.Dialer{})
	ctx, cancel := context.WithCancel(t.Context())
	dialled := make(chan error, 1)
	go func() {
		_, err := socket.Dial(ctx)
		dialled <- err
	}()
	testkit.AwaitSYN(t, addr.Port)

	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.OwnSocket(socket)
	}()
	select {
	case <-closed:
	case err := <-dialled:
		t.Errorf("the dial ended by itself: %v", err)
	case <-time.After(10 * time.Second):
		t.Error("the end of the plugin waits for the dial")
	}
	cancel()
	<-closed
	if _, err := socket.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dial after the end: %v", err)
	}
}
