// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/runner"
)

// checkShown checks that a text, which holds words of a peer, is one that a terminal
// can show, and no longer than what a text of a peer may be and what is said beside it.
func checkShown(t *testing.T, text string) {
	t.Helper()
	if printable.Text(text) != text || len(text) > 2*printable.MaxText {
		t.Fatalf("%d bytes are not fit to be shown: %.200q", len(text), text)
	}
}

// sameWorld is a child that sees the addresses which its host sees.
type sameWorld struct{ runner.AddrTranslator }

func (sameWorld) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// FuzzChildAccept takes a child by its line. Nothing is taken that the host does not
// allow, and a refusal can be shown.
func FuzzChildAccept(f *testing.F) {
	cert := strings.Repeat("MIIB", 20)
	for _, line := range []string{
		"1|1|unix|/tmp/plugin1|netrpc|", "1|2|tcp|127.0.0.1:10000|grpc|" + cert + "|true", "1|5|tcp|[::1]:1", "1|5|unix|/s|grpc||false",
		"1|1|tcp|\u0085:1", "1|1|tcp|127.0.0.1:" + strings.Repeat("z", 2500), "1|1|\x1b[2J|/s|\u202e", "1|1|unix|/s|grpc||" + strings.Repeat("x", 2500),
	} {
		f.Add(line)
	}
	cfg := ClientConfig{
		VersionedPlugins: map[int]PluginSet{1: {}, 5: {}}, AllowedProtocols: []Protocol{ProtocolNetRPC, ProtocolGRPC},
		GRPCBrokerMultiplex: true, Logger: hclog.NewNullLogger(),
	}.withDefaults()
	f.Fuzz(func(t *testing.T, text string) {
		line, err := child.ParseLine(text)
		if err != nil {
			return
		}
		if line.Network == "tcp" {
			host, _, err := net.SplitHostPort(line.Address)
			if _, noIP := netip.ParseAddr(host); err == nil && noIP != nil {
				return // the name server would be asked
			}
		}
		reached, err := newLocalPlugin(cfg).accept(line, sameWorld{}, nil)
		if err != nil {
			checkShown(t, err.Error())
			return
		}
		if reached.version != 1 && reached.version != 5 || !slices.Contains(cfg.AllowedProtocols, reached.protocol) ||
			reached.addr.Network() != "tcp" && reached.addr.Network() != "unix" {
			t.Fatalf("%q was taken: %+v", text, reached)
		}
		if can, err := strconv.ParseBool(line.Multiplex); reached.protocol == ProtocolGRPC && (err != nil || !can) {
			t.Fatalf("%q was taken, and cannot multiplex", text)
		}
	})
}

// FuzzNetworkConfig sets one variable of network mode to anything. An error names it,
// and without one the bounds are bounds.
func FuzzNetworkConfig(f *testing.F) {
	names := slices.Concat(env.Network(), []string{env.MinPort, env.MaxPort})
	for i := range names {
		for _, value := range []string{"5", "-1s\x1b", "exit", "9223372036854775807"} {
			f.Add(i, value)
		}
	}
	f.Fuzz(func(t *testing.T, which int, value string) {
		if which < 0 || which >= len(names) || strings.Contains(value, "\x00") || len(value) > printable.MaxText {
			return
		}
		t.Setenv(names[which], value)
		cfg, err := NetworkConfigFromEnv()
		ports, portErr := listen.PortsFromEnv()
		if err := errors.Join(err, portErr); err != nil {
			if !strings.Contains(err.Error(), names[which]) {
				t.Fatalf("%s=%q: %v", names[which], value, err)
			}
			return
		}
		if filled := cfg.withDefaults(); filled.DrainTimeout <= 0 || filled.HandshakeTimeout <= 0 || filled.MaxSessions < 1 ||
			checkMaxMessage(filled.MaxMessageBytes) != nil || filled.DefaultVersion < 0 || filled.Name == "" {
			t.Fatalf("%s=%q: %+v", names[which], value, filled)
		}
		if ports.Low < 0 || ports.Low > ports.High || ports.High > 65535 {
			t.Fatalf("%s=%q: %+v", names[which], value, ports)
		}
	})
}

// FuzzPeerError is what a peer answers to a question of this library, such as a ping.
func FuzzPeerError(f *testing.F) {
	f.Add("no\x1b[2J", uint32(codes.Unavailable), true)
	f.Add(strings.Repeat("好\u202e", 500), uint32(codes.OK), false)
	f.Fuzz(func(t *testing.T, text string, code uint32, wrapped bool) {
		said := status.Error(codes.Code(code), text)
		if said == nil {
			return
		}
		err := said
		if wrapped {
			err = errors.Join(errors.New("the call fails"), said)
		}
		err = peererr.Clean(err)
		checkShown(t, err.Error())
		if status.Code(err) != codes.Code(code) {
			t.Fatalf("%v became %v", said, err)
		}
		if again := peererr.Clean(err); again.Error() != err.Error() {
			t.Fatalf("%q is changed again to %q", err, again)
		}
	})
}

// FuzzPeerText is the same over net/rpc, whose errors are texts.
func FuzzPeerText(f *testing.F) {
	for _, text := range []string{"", "no", "\x1b\u202e\xff", strings.Repeat("\x00", printable.MaxText+1), strings.Repeat("好", 400)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := peererr.Text(text)
		if printable.Line(shown) != shown || len(shown) > printable.MaxText+len("… (cut)") {
			t.Fatalf("%q", shown)
		}
		if printable.Line(text) == text && len(text) <= printable.MaxText && shown != text {
			t.Fatalf("%q became %q", text, shown)
		}
		if again := peererr.Text(shown); !strings.HasPrefix(again, strings.TrimSuffix(shown, "… (cut)")[:min(len(shown), 1<<9)&^7]) && len(shown) < 1<<9 {
			t.Fatalf("%q became %q", shown, again)
		}
	})
}
