// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// deafListener accepts nobody.
type deafListener struct{ net.Listener }

func (deafListener) Accept() (net.Conn, error) { return nil, errors.New("no more descriptors") }

// TestRunErrors tells what keeps a server from serving from what befalls one that has served.
func TestRunErrors(t *testing.T) {
	cases := map[string]struct {
		health  string
		lis     func(net.Listener) net.Listener
		options bool
	}{
		"an address of its health": {"nowhere", func(lis net.Listener) net.Listener { return lis }, true},
		"it can accept no more":    {"", func(lis net.Listener) net.Listener { return deafListener{lis} }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := New(t.Context(), Options{Command: []string{os.Args[0]}, Network: &plugin.NetworkConfig{HealthAddr: tc.health}})
			if err != nil {
				t.Fatal(err)
			}
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(t.Context(), tc.lis(lis)); err == nil || errors.Is(err, ErrOptions) != tc.options {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestInterruptedBeforeItServes ends the context between New and Run.
func TestInterruptedBeforeItServes(t *testing.T) {
	s, err := New(t.Context(), Options{Command: []string{os.Args[0]}, Network: &plugin.NetworkConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, lis); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
