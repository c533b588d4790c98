// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// serveAPI gives the URL of a daemon that has one plugin, zh, at address.
func serveAPI(t *testing.T, address string, set ...func(*api.Options)) string {
	t.Helper()
	return serveDaemon(t, address, func(*daemon.Options) {}, set...)
}

// serveDaemon does the same with a daemon whose options are changed as well.
func serveDaemon(t *testing.T, address string, change func(*daemon.Options), set ...func(*api.Options)) string {
	t.Helper()
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions, o.Kinds = basic().Handshake, basic().Versions, basic().Kinds
	o.NetworkPlugins = "zh=" + address
	change(&o)
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	a := api.DefaultOptions()
	a.Daemon, a.OpenCalls = d, true
	for _, change := range set {
		change(&a)
	}
	handler, err := api.NewHandler(a)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// TestCallSaysHow holds that arguments which do not fit are explained in the words of
// whoever typed them, once, and the same with a daemon and without one.
func TestCallSaysHow(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	t.Setenv("PLUGIN_DIR", "")
	places := map[string]func(*testing.T){
		"attached":    func(t *testing.T) { t.Setenv("NETWORK_PLUGIN", "zh="+address) },
		"by a daemon": func(t *testing.T) { t.Setenv("BASIC_SERVER", serveAPI(t, address)) },
	}
	const greet, hi = "arguments do not fit Greet(name string) (string, error): ", "arguments do not fit Hi(int) (string, error): "
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			place(t)
			for _, tc := range []struct {
				args []string
				code int
				want string
			}{
				{[]string{"greeter.Greet", "5"}, exitUsage, greet + `argument "name": number is not a string; a text that is JSON as well needs quotes within quotes: '"5"'`},
				{[]string{"greeter.Greet", "true"}, exitUsage, greet + `argument "name": bool is not a string; a text that is JSON as well needs quotes within quotes: '"true"'`},
				{[]string{"greeter.Greet", `"5"`}, exitOK, ""},
				{[]string{"greeter.Greet", "[5]"}, exitUsage, greet + `argument "name": number is not a string`},
				{[]string{"greeter.Greet", "Ada", "5"}, exitUsage, greet + "it takes 1 argument, got 2 or more"},
				{[]string{"greeter.Greet"}, exitUsage, greet + `argument "name" is missing: it takes 1 argument, got 0`},
				{nil, exitUsage, `want basic call PLUGIN KIND.METHOD [JSON]..., got ["zh"]; see basic call --help`},
				{[]string{"greeter.Hi", "many"}, exitUsage, hi + "argument 1: string is not an int"},
				{[]string{"greeter.Hi", "-3"}, exitUsage, "-3 is taken for an option: write -- before arguments that begin with a dash, as in basic call PLUGIN KIND.METHOD -- -3"},
				{[]string{"greeter.Hi", "-x"}, exitUsage, "unknown shorthand flag: 'x' in -x; see basic call --help"},
				{[]string{"greeter.Hi", "--", "-3"}, exitOK, ""},
				{[]string{"greeter.Bow"}, exitUsage, `unknown method "Bow": kind greeter has Greet, Hi`},
			} {
				want := tc.want
				if want != "" {
					want = "basic: " + want + "\n"
				}
				var stdout, stderr bytes.Buffer
				code := basic().run(t.Context(), append([]string{"call", "zh"}, tc.args...), &stdout, &stderr)
				if code != tc.code || stderr.String() != want {
					t.Errorf("%q: code %d, %q; want %d, %q", tc.args, code, stderr.String(), tc.code, want)
				}
			}
		})
	}
}
