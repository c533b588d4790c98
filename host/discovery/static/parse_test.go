// SPDX-License-Identifier: MPL-2.0

package static_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery/static"
)

func TestParse(t *testing.T) {
	type entries = []static.Entry
	cases := map[string]struct {
		reason string
		in     string
		want   entries
		err    string
	}{
		"Nothing":   {"an unset variable is no error", "", nil, ""},
		"HostPort":  {"the host names the plugin", "pluginzh:7000", entries{{Plugin: "pluginzh", Host: "pluginzh", Port: "7000"}}, ""},
		"Qualified": {"all of a qualified host, as it was written", "zh.default.svc:7000", entries{{Plugin: "zh.default.svc", Host: "zh.default.svc", Port: "7000"}}, ""},
		"RootDot":   {"the dot that makes a name absolute is for the resolver", "zh.default.svc.:7000", entries{{Plugin: "zh.default.svc", Host: "zh.default.svc.", Port: "7000"}}, ""},
		"IPv4":      {"an IP names nobody, the whole address does", "127.0.0.1:7000", entries{{Plugin: "127.0.0.1:7000", Host: "127.0.0.1", Port: "7000"}}, ""},
		"IPv6":      {"with the brackets that people type", "[::1]:7000", entries{{Plugin: "[::1]:7000", Host: "::1", Port: "7000"}}, ""},
		"Named":     {"a name wins over the host", "zh=10.0.0.1:7000", entries{{Plugin: "zh", Host: "10.0.0.1", Port: "7000"}}, ""},
		"DNS":       {"resolved into its records", "dns:///zh:7000", entries{{Plugin: "zh", Host: "zh", Port: "7000", Resolve: true}}, ""},
		"NamedDNS":  {"both together", "zh=dns:///zh-headless:7000", entries{{Plugin: "zh", Host: "zh-headless", Port: "7000", Resolve: true}}, ""},
		"Several": {"a manifest may spread the list over lines", " a=h:1,\n a=h:2 ,, b=[::1]:3,", entries{
			{Plugin: "a", Host: "h", Port: "1"}, {Plugin: "a", Host: "h", Port: "2"}, {Plugin: "b", Host: "::1", Port: "3"},
		}, ""},
		"Underscore": {"Docker Compose makes such names", "my_zh:7000", entries{{Plugin: "my_zh", Host: "my_zh", Port: "7000"}}, ""},

		"State": {"what a plugin remembers decides where its calls go", "zh:7000;affinity=session; replay=Init;replay=Configure,a:1;replay=Setup", entries{
			{Plugin: "zh", Host: "zh", Port: "7000", Affinity: true, Replay: "Init,Configure"}, {Plugin: "a", Host: "a", Port: "1", Replay: "Setup"},
		}, ""},

		"Socket":      {"the file names the plugin", "unix:///run/plugins/store.sock", entries{{Plugin: "store", Socket: "/run/plugins/store.sock"}}, ""},
		"NamedSocket": {"a name wins over the file", "zh=unix:///s;affinity=session", entries{{Plugin: "zh", Socket: "/s", Affinity: true}}, ""},
		"AsOfGRPC":    {"gRPC writes it so as well", "unix:/s.sock", entries{{Plugin: "s", Socket: "/s.sock"}}, ""},

		"Abstract":     {"anybody may serve there", "zh=unix:@zh", nil, `entry 1 "zh=unix:@zh": abstract sockets have no permissions, so that anybody may pose as the plugin: write unix:///PATH, the path of a file`},
		"Relative":     {"a slash is missing", "unix://run/s.sock", nil, `entry 1 "unix://run/s.sock": the path of a socket must be absolute: write unix:///PATH, with three slashes`},
		"SocketTwice":  {"a slip of the hand", "unix:///s, unix:/s", nil, `entry 2 "unix:/s": it is listed twice: remove one`},
		"SocketDots":   {"one socket has one address", "unix:///run/../s", nil, `entry 1 "unix:///run/../s": the path is not as short as it can be: write unix:///s`},
		"Option":       {"what is misspelt must not be ignored", "zh:7000;afinity=session", nil, `entry 1 "zh:7000;afinity=session": option "afinity=session" is not understood: there are affinity=session and replay=METHOD`},
		"Affinity":     {"there is one", "zh:7000;affinity=yes", nil, `entry 1 "zh:7000;affinity=yes": affinity is "yes": write affinity=session, or leave it out`},
		"ReplayList":   {"a method has no brackets", "zh:7000;replay=[A]", nil, `entry 1 "zh:7000;replay=[A]": replay is "[A]": write the name of one method, as in replay=Configure`},
		"TwiceOptions": {"options make no other endpoint", "zh:7000, zh:7000;replay=A", nil, `entry 2 "zh:7000;replay=A": it is listed twice: remove one`},
		"NoPort":       {"no port is the usual", "pluginzh", nil, `entry 1 "pluginzh": it has no port: write pluginzh:7000, or whatever the port is`},
		"Second":       {"the position helps in a long list", "a:1,b", nil, `entry 2 "b": it has no port: write b:7000, or whatever the port is`},
		"BareIPv6":     {"where does the port begin", "::1", nil, `entry 1 "::1": it has no port: write [::1]:7000, or whatever the port is; IPv6 addresses need the brackets`},
		"IPv6NoPort":   {"brackets alone", "[::1]", nil, `entry 1 "[::1]": it has no port: write [::1]:7000, or whatever the port is; IPv6 addresses need the brackets`},
		"Colons":       {"not even an IPv6 address", "a:b:c", nil, `entry 1 "a:b:c": it has too many colons: write an IPv6 address in brackets, [::1]:7000`},
		"PortName":     {"names of ports are not looked up", "zh:http", nil, `entry 1 "zh:http": port "http" is not a number from 1 to 65535`},
		"PortZero":     {"nobody listens there", "zh:0", nil, `entry 1 "zh:0": port "0" is not a number from 1 to 65535`},
		"PortEmpty":    {"a colon and nothing", "zh:", nil, `entry 1 "zh:": port "" is not a number from 1 to 65535`},
		"HostEmpty":    {"a listener's address, not a dialer's", ":7000", nil, `entry 1 ":7000": the host is missing: write 127.0.0.1:7000 for this machine`},
		"URL":          {"people paste URLs", "http://zh:7000", nil, `entry 1 "http://zh:7000": http:// is not understood: write host:port, dns:///host:port or unix:///path`},
		"DNSAuthority": {"gRPC knows it, we do not", "dns://8.8.8.8/zh:7000", nil, `entry 1 "dns://8.8.8.8/zh:7000": dns:// is not understood: write host:port, dns:///host:port or unix:///path`},
		"DNSOfIP":      {"nothing to resolve", "dns:///10.0.0.1:7000", nil, `entry 1 "dns:///10.0.0.1:7000": 10.0.0.1 is an address already: write 10.0.0.1:7000 without dns:///`},
		"DNSEmpty":     {"only the scheme", "dns:///", nil, `entry 1 "dns:///": the address is missing: write host:port`},
		"NoName":       {"an unset variable in a template", "=zh:7000", nil, `entry 1 "=zh:7000": there is no name before "=": write name=host:port, or host:port alone`},
		"NoAddress":    {"the other half", "zh=", nil, `entry 1 "zh=": the address is missing: write host:port`},
		"BadHost":      {"a path", "a/b:7000", nil, `entry 1 "a/b:7000": "a/b" is neither a host name nor an IP address`},
		"BadName":      {"names are parts of URLs", "a b=zh:7000", nil, `entry 1 "a b=zh:7000": plugin name "a b": character ' ' is not allowed`},
		"Twice":        {"a slip of the hand", "zh:7000, zh:7000", nil, `entry 2 "zh:7000": it is listed twice: remove one`},
		"All":          {"every mistake is told at once", "a,b:1,c", nil, `entry 1 "a": it has no port: write a:7000, or whatever the port is` + "\n" + `entry 3 "c": it has no port: write c:7000, or whatever the port is`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := static.Parse(tc.in)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: entries (-want +got)\n%s", tc.reason, diff)
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(tc.err, text); diff != "" {
				t.Errorf("%s: error (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"zh:7000", "zh=dns:///h:1,[::1]:2", "a=b=c:1", "[", "=:", "dns:///[::1%x]:1", "unix:///run/s.sock", "a=unix:@b", "unix:///,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		entries, err := static.Parse(list)
		if err != nil {
			return
		}
		// Whatever is accepted makes groups that the manager accepts.
		src, err := static.New(list, static.Options{})
		if err != nil {
			t.Fatalf("Parse took %q, New did not: %v", list, err)
		}
		if err := src.Fixed().Validate(); err != nil {
			t.Fatalf("%q with entries %+v: %v", list, entries, err)
		}
	})
}
