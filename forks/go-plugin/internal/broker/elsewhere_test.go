// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestAnnouncedElsewhere holds which announcements of which peers are dialled.
func TestAnnouncedElsewhere(t *testing.T) {
	here := map[string]net.Conn{
		"loopback":      between{local: tcpAt("127.0.0.1"), remote: tcpAt("127.0.0.1")},
		"own address":   between{local: tcpAt("10.0.0.7"), remote: tcpAt("::ffff:10.0.0.7")},
		"a unix socket": between{local: &net.UnixAddr{Net: "unix"}, remote: &net.UnixAddr{Net: "unix"}},
	}
	for name, conn := range here {
		if AnnouncedBy(conn) != nil {
			t.Errorf("%s: what a peer of this machine announces is not dialled", name)
		}
	}
	check := AnnouncedBy(between{local: tcpAt("10.0.0.7"), remote: tcpAt("10.0.0.8")})
	if check == nil {
		t.Fatal("a peer of another machine may have anything dialled")
	}
	for announced, says := range map[[2]string]string{
		{"unix", "/run/docker.sock"}:       "unix socket",
		{"tcp", "127.0.0.1:2379"}:          "its own machine",
		{"tcp", "[::1]:2379"}:              "its own machine",
		{"tcp", "[::ffff:127.0.0.1]:2379"}: "its own machine",
		{"tcp", "0.0.0.0:2379"}:            "its own machine",
		{"tcp", "[::]:2379"}:               "its own machine",
		{"tcp", "169.254.169.254:80"}:      "its own machine",
		{"tcp", "localhost:2379"}:          "no IP address",
		{"tcp", "10.0.0.8:2379"}:           "",
		{"tcp", "[2001:db8::8]:2379"}:      "",
	} {
		if err := check(announced[0], announced[1]); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", announced, err, says)
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
