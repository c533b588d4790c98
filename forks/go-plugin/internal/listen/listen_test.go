// SPDX-License-Identifier: MPL-2.0

package listen_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/listen"
)

func TestPortsFromEnv(t *testing.T) {
	tests := map[string]struct {
		low, high string
		want      listen.Ports
		fails     string // in the error
	}{
		"Absent":         {},
		"Range":          {low: " 7000", high: "7010 ", want: listen.Ports{Low: 7000, High: 7010}},
		"OnlyHigh":       {high: "7010", want: listen.Ports{High: 7010}},
		"OnlyLow":        {low: "7000", fails: "PLUGIN_MIN_PORT is 7000 without a PLUGIN_MAX_PORT"},
		"Reversed":       {low: "7010", high: "7000", fails: "PLUGIN_MIN_PORT is 7010, greater than PLUGIN_MAX_PORT, which is 7000"},
		"NoNumber":       {low: "seven", high: "7000", fails: `PLUGIN_MIN_PORT is "seven"`},
		"NoPort":         {high: "65536", fails: `PLUGIN_MAX_PORT is "65536"`},
		"FirstOfTwoSaid": {low: "-1", high: "-1", fails: "PLUGIN_MIN_PORT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PLUGIN_MIN_PORT", test.low)
			t.Setenv("PLUGIN_MAX_PORT", test.high)
			got, err := listen.PortsFromEnv()
			switch {
			case test.fails == "" && err != nil, test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Fatalf("error %v, want %q", err, test.fails)
			case got != test.want:
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestTCP holds that the range is searched, and that its end is said with the variables.
func TestTCP(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	first, err := listen.TCP(loopback, listen.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	taken := first.Addr().(*net.TCPAddr).Port
	if lis, err := listen.TCP(loopback, listen.Ports{Low: taken, High: taken}); err == nil {
		lis.Close()
		t.Error("a port was bound twice")
	} else if want := "no port of " + strconv.Itoa(taken); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "PLUGIN_MIN_PORT") {
		t.Errorf("error %q, want %q and the variables", err, want)
	}
	last := min(taken+100, 65535)
	next, err := listen.TCP(loopback, listen.Ports{Low: taken, High: last})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if port := next.Addr().(*net.TCPAddr).Port; port <= taken || port > last {
		t.Errorf("port %d, want one of %d to %d", port, taken+1, last)
	}
}

// TestLocal holds who may use a socket, and that none is left.
func TestLocal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("listens on TCP")
	}
	for name, test := range map[string]struct {
		group       string
		socket, dir os.FileMode
	}{
		"Owner": {socket: 0o600, dir: 0o700},
		"Group": {group: strconv.Itoa(os.Getgid()), socket: 0o660, dir: 0o770},
	} {
		t.Run(name, func(t *testing.T) {
			sockets := listen.Sockets{Group: test.group}
			if err := sockets.MakeDir(t.TempDir()); err != nil {
				t.Fatal(err)
			}
			lis, err := listen.Local(sockets)
			if err != nil {
				t.Fatal(err)
			}
			path := lis.Addr().String()
			if filepath.Dir(path) != sockets.Dir {
				t.Errorf("%s is not in %s", path, sockets.Dir)
			}
			for path, want := range map[string]os.FileMode{path: test.socket, sockets.Dir: test.dir} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode().Perm(); got != want {
					t.Errorf("rights of %s: %v, want %v", path, got, want)
				}
			}
			if err := lis.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(path); err == nil {
				t.Error("Close leaves the socket")
			}
		})
	}
}

// TestUnknownGroup holds that nothing is left of what cannot be shared.
func TestUnknownGroup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("listens on TCP")
	}
	dir := t.TempDir()
	sockets := listen.Sockets{Dir: dir, Group: "no such group"}
	if lis, err := listen.Local(sockets); err == nil {
		lis.Close()
		t.Error("no error")
	}
	if err := sockets.MakeDir(dir); err == nil {
		t.Error("no error of a directory")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
