// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// between is a connection of two addresses.
type between struct {
	net.Conn
	local, remote net.Addr
}

func (c between) LocalAddr() net.Addr  { return c.local }
func (c between) RemoteAddr() net.Addr { return c.remote }

func tcpAt(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 7000} }

// named is an address of a network that nobody here knows.
type named string

func (n named) Network() string { return string(n) }
func (n named) String() string  { return "far away" }

// TestPeersOfThisMachine holds which peers are on this machine: none of whom that is not known.
func TestPeersOfThisMachine(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	unix := &net.UnixAddr{Net: "unix"}
	buffered := bufconn.Listen(1).Addr()
	for name, tc := range map[string]struct {
		conn net.Conn
		here bool
	}{
		"loopback":             {between{local: tcpAt("127.0.0.1"), remote: tcpAt("127.0.0.1")}, true},
		"two of loopback":      {between{local: tcpAt("127.0.0.1"), remote: tcpAt("::ffff:127.0.0.2")}, true},
		"own address":          {between{local: tcpAt("10.0.0.7"), remote: tcpAt("::ffff:10.0.0.7")}, true},
		"a unix socket":        {between{local: unix, remote: unix}, true},
		"a pipe in memory":     {here, true},
		"gRPC's buffer":        {between{local: buffered, remote: buffered}, true},
		"another machine":      {between{local: tcpAt("10.0.0.7"), remote: tcpAt("10.0.0.8")}, false},
		"loopback over ssh":    {between{local: tcpAt("0.0.0.0"), remote: tcpAt("127.0.0.1")}, false},
		"no addresses of ssh":  {between{local: tcpAt("0.0.0.0"), remote: tcpAt("0.0.0.0")}, false},
		"none of IPv6":         {between{local: tcpAt("::"), remote: tcpAt("::")}, false},
		"no IP":                {between{local: &net.TCPAddr{}, remote: &net.TCPAddr{}}, false},
		"vsock":                {between{local: named("vsock"), remote: named("vsock")}, false},
		"a websocket":          {between{local: named("websocket"), remote: named("websocket")}, false},
		"a pipe of Windows":    {between{local: named("pipe"), remote: named("pipe")}, false},
		"a loopback elsewhere": {between{local: named("x"), remote: tcpAt("127.0.0.1")}, false},
		"no addresses at all":  {between{}, false},
	} {
		if got := AnnouncedBy(tc.conn) == nil; got != tc.here {
			t.Errorf("%s: a peer of this machine is %v, want %v", name, got, tc.here)
		}
	}
}

// TestAnnouncedElsewhere holds which announcements of a peer on another machine are dialled.
func TestAnnouncedElsewhere(t *testing.T) {
	const its, ours = "its own machine", "of this machine"
	routed := between{local: tcpAt("10.0.0.7"), remote: tcpAt("10.0.0.8")}
	onLink := between{
		local:  &net.TCPAddr{IP: net.ParseIP("fe80::7"), Zone: "eth0"},
		remote: &net.TCPAddr{IP: net.ParseIP("fe80::8"), Zone: "eth0"},
	}
	vsock := between{local: named("vsock"), remote: named("vsock")}
	for _, tc := range []struct {
		session                net.Conn
		network, address, says string
	}{
		{routed, "unix", "/run/docker.sock", "unix socket"},
		{routed, "tcp", "127.0.0.1:2379", its},
		{routed, "tcp", "[::1]:2379", its},
		{routed, "tcp", "[::ffff:127.0.0.1]:2379", its},
		{routed, "tcp", "0.0.0.0:2379", its},
		{routed, "tcp", "[::]:2379", its},
		{routed, "tcp", "[::ffff:0.0.0.0]:2379", its},
		{routed, "tcp", "169.254.169.254:80", its},
		{routed, "tcp", "[::ffff:169.254.169.254]:80", its},
		{routed, "tcp", "[fe80::8]:2379", its},
		{routed, "tcp", "[fe80::8%eth0]:2379", its},
		{routed, "tcp", "10.0.0.7:2379", ours},
		{routed, "tcp", "[::ffff:10.0.0.7]:2379", ours},
		{routed, "tcp", "localhost:2379", "no IP address"},
		{routed, "tcp", "10.0.0.8:2379", ""},
		{routed, "tcp", "[::ffff:10.0.0.8]:2379", ""},
		{routed, "tcp", "[2001:db8::8]:2379", ""},
		{onLink, "tcp", "[fe80::8%eth0]:2379", ""},
		{onLink, "tcp", "[fe80::7%eth0]:2379", ours},
		{onLink, "tcp", "[fe80::7]:2379", ours},
		{onLink, "tcp", "169.254.169.254:80", its},
		{onLink, "tcp", "[::ffff:169.254.169.254]:80", its},
		{vsock, "unix", "/run/docker.sock", "unix socket"},
		{vsock, "tcp", "127.0.0.1:2379", its},
		{vsock, "tcp", "[fe80::8%eth0]:2379", its},
		{vsock, "tcp", "10.0.0.8:2379", ""},
	} {
		check := AnnouncedBy(tc.session)
		if err := check(tc.network, tc.address); (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v announces %s: %v, want %q", tc.session.RemoteAddr(), tc.address, err, tc.says)
		}
	}
}

// TestNothingDialledElsewhere has a peer of another machine announce a unix socket that there is
// on this one: the dial fails, and nobody comes to the socket.
func TestNothingDialledElsewhere(t *testing.T) {
	lis, err := net.Listen("unix", filepath.Join(t.TempDir(), "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	b := New(testConfig(Listeners(ListenerConfig{Check: AnnouncedBy(between{local: tcpAt("10.0.0.7"), remote: tcpAt("10.0.0.8")})})))
	defer b.Close()
	b.transport.receive(&pluginpb.ConnInfo{ServiceId: 1, Network: "unix", Address: lis.Addr().String()})
	if _, err := b.transport.dialer(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "on its own machine") {
		t.Errorf("it would be dialled: %v", err)
	}
	_ = lis.(*net.UnixListener).SetDeadline(time.Now())
	if _, err := lis.Accept(); err == nil {
		t.Error("somebody has come to the socket")
	}
}
