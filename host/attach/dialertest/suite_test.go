// SPDX-License-Identifier: MPL-2.0

package dialertest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/dialertest"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon/daemontest/address"
	"github.com/reattach/reattach/host/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// envFlaw makes TestFlawed run the suite with a dialer that has that flaw.
const envFlaw = "DIALERTEST_FLAW"

// flaws are dialers that the suite must not pass.
var flaws = map[string]struct {
	part   string // the part that must fail
	dialer func(conn.Dialer) conn.Dialer
}{
	"nothing is permanent": {
		"other_cookie", func(d conn.Dialer) conn.Dialer {
			return conn.DialerFunc(func(ctx context.Context, e target.Endpoint) (conn.Session, error) {
				s, err := d.Dial(ctx, e)
				if err != nil {
					return nil, errors.New(err.Error())
				}
				return s, nil
			})
		},
	},
	"errors name no place": {
		"not_a_plugin", func(d conn.Dialer) conn.Dialer {
			return conn.DialerFunc(func(ctx context.Context, e target.Endpoint) (conn.Session, error) {
				s, err := d.Dial(ctx, e)
				if err != nil {
					return nil, conn.Permanent(errors.New("no cookie, version 77, or so"))
				}
				return s, nil
			})
		},
	},
	"one session for all": {
		"two_sessions", func(d conn.Dialer) conn.Dialer {
			var only conn.Session
			return conn.DialerFunc(func(ctx context.Context, e target.Endpoint) (s conn.Session, err error) {
				if only == nil {
					only, err = d.Dial(ctx, e)
				}
				return only, err
			})
		},
	},
	"ping is always answered": {
		"session", func(d conn.Dialer) conn.Dialer {
			return wrapping(d, func(s both) conn.Session { return deaf{s} })
		},
	},
	"close does nothing": {
		"close", func(d conn.Dialer) conn.Dialer {
			return wrapping(d, func(s both) conn.Session { return undead{s} })
		},
	},
}

// both is what every session implements.
type both interface {
	conn.Session
	OpenRPC(kind string) (plugin.RPCChannel, error)
	ClientConn() (*grpc.ClientConn, bool)
}

type deaf struct{ both }

func (deaf) Ping(context.Context) error { return nil }

type undead struct{ both }

func (undead) Close() error { return nil }

func wrapping(d conn.Dialer, wrap func(both) conn.Session) conn.Dialer {
	return conn.DialerFunc(func(ctx context.Context, e target.Endpoint) (conn.Session, error) {
		s, err := d.Dial(ctx, e)
		if err != nil {
			return nil, err
		}
		return wrap(s.(both)), nil
	})
}

// TestSuiteFindsFlaws runs this test binary once for each flaw.
func TestSuiteFindsFlaws(t *testing.T) {
	for flaw, tc := range flaws {
		t.Run(flaw, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$", "-test.v")
			cmd.Env = append(os.Environ(), envFlaw+"="+flaw)
			out, err := cmd.CombinedOutput()
			if err == nil || !failed(string(out), tc.part) {
				t.Errorf("the suite passes %q in part %s: %v\n%s", flaw, tc.part, err, out)
			}
		})
	}
}

// failed reports whether a part failed, over whichever protocol.
func failed(output, part string) bool {
	for line := range strings.Lines(output) {
		if strings.Contains(line, "--- FAIL: TestFlawed/") && strings.Contains(line, "/"+part+" (") {
			return true
		}
	}
	return false
}

// TestFlawed is the suite with the flaw that the environment names, or with a
// dialer that has none.
func TestFlawed(t *testing.T) {
	flaw := func(d conn.Dialer) conn.Dialer { return d }
	if name := os.Getenv(envFlaw); name != "" {
		flaw = flaws[name].dialer
	}
	dialertest.Run(t, dialertest.Harness{
		Dialer: func(t testing.TB, c attach.Contract) conn.Dialer {
			d, err := attach.Network(attach.NetworkOptions{Contract: c})
			if err != nil {
				t.Fatal(err)
			}
			return flaw(d)
		},
		Endpoint: endpoint,
		NotPlugin: func(t testing.TB) target.Endpoint {
			return at(address.Hold(t))
		},
		Describes: true,
	})
}

func at(address string) target.Endpoint {
	return target.Endpoint{ID: target.MakeID("zh", address), Plugin: "zh", Placement: target.Network, Address: address}
}

// endpoint serves the plugin until the test ends.
func endpoint(t testing.TB) target.Endpoint {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plugin.ServeListener(ctx, lis, served.Config(hclog.NewNullLogger())) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return at(lis.Addr().String())
}
