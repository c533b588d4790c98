// SPDX-License-Identifier: MPL-2.0

package listen_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
)

// leaveSocket makes a socket as a process leaves it that was killed.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	lis.SetUnlinkOnClose(false)
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNetworkOnUnixSocket holds who may use the socket, that one which nobody serves on
// is replaced, and that it goes with the listener.
func TestNetworkOnUnixSocket(t *testing.T) {
	for name, tc := range map[string]struct {
		vars map[string]string
		mode fs.FileMode
	}{
		"the owner's": {nil, 0o600},
		"a group's":   {map[string]string{env.UnixSocketGroup: strconv.Itoa(os.Getgid())}, 0o660},
		"everybody's": {map[string]string{env.UnixSocketMode: " 0666 "}, 0o666},
		"both":        {map[string]string{env.UnixSocketGroup: strconv.Itoa(os.Getgid()), env.UnixSocketMode: "620"}, 0o620},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.sock")
			leaveSocket(t, path)
			t.Setenv(env.Host, "unix://"+path)
			for key, value := range tc.vars {
				t.Setenv(key, value)
			}
			lis, announced, err := listen.Network()
			if err != nil {
				t.Fatal(err)
			}
			if announced.Network() != "unix" || announced.String() != path {
				t.Errorf("announced %s %s", announced.Network(), announced)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != tc.mode {
				t.Errorf("mode %v, %v, want %v", info.Mode(), err, tc.mode)
			}
			if err := lis.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

// TestUnixSocketRefused holds what a plugin does not listen on, what it says then, and
// that it leaves alone what is there.
func TestUnixSocketRefused(t *testing.T) {
	dir := t.TempDir()
	file, live := filepath.Join(dir, "file"), filepath.Join(dir, "live.sock")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	for name, tc := range map[string]struct{ host, mode, says string }{
		"another plugin's":     {host: "unix://" + live, says: "another process serves on " + live},
		"a file":               {host: "unix://" + file, says: "is no socket"},
		"abstract":             {host: "unix://@store", says: "abstract"},
		"abstract, as of gRPC": {host: "unix:@store", says: "abstract"},
		"relative":             {host: "unix:store.sock", says: "absolute path"},
		"two slashes":          {host: "unix://store.sock", says: "absolute path"},
		"nothing":              {host: "unix://", says: "absolute path"},
		"too long":             {host: "unix:///" + strings.Repeat("x", 107), says: "108 bytes, and the system takes 107"},
		"no directory":         {host: "unix://" + dir + "/none/s.sock", says: dir + "/none does not exist"},
		"no mode":              {host: "unix://" + dir + "/s.sock", mode: "rw", says: env.UnixSocketMode + ` is "rw"`},
		"a mode that is more":  {host: "unix://" + dir + "/s.sock", mode: "4777", says: "in octal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(env.Host, tc.host)
			t.Setenv(env.UnixSocketMode, tc.mode)
			lis, _, err := listen.Network()
			if err == nil {
				_ = lis.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want an error with %q", err, tc.says)
			}
		})
	}
	for _, path := range []string{file, live} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestOneReplacesStaleSocket starts many at a stale socket: one gets it, and none takes
// it from that one.
func TestOneReplacesStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	leaveSocket(t, path)
	t.Setenv(env.Host, "unix://"+path)
	var (
		mu  sync.Mutex
		got []net.Listener
		all sync.WaitGroup
	)
	for range 32 {
		all.Add(1)
		go func() {
			defer all.Done()
			if lis, _, err := listen.Network(); err == nil {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, lis)
			}
		}()
	}
	all.Wait()
	if len(got) != 1 {
		t.Errorf("%d listen at once, want 1", len(got))
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("nobody serves on the socket: %v", err)
	}
	_ = conn.Close()
	for _, lis := range got {
		_ = lis.Close()
	}
}
