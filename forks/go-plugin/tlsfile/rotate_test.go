// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/wait"
)

func TestRotation(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 1, nil)
	files := secret(t, cert, key, nil)
	server := mustServer(t, files, nil)
	client := mustClient(t, secret(t, nil, nil, ca.PEM()), "pluginzh", nil)

	before := meet(t, client, server)
	if before.clientErr != nil || before.serial() != 1 {
		t.Fatal(before.clientErr)
	}
	cert, key = ca.issue(t, 2, nil)
	put(t, files.Cert, cert, long)
	put(t, files.Key, key, long)

	after := meet(t, client, server)
	if after.clientErr != nil || after.serial() != 2 {
		t.Fatalf("the new certificate was not presented: %v", after.clientErr)
	}
	// The connection of before goes on with what it was made with.
	served := make(chan error, 1)
	go func() { served <- echo(before.server) }()
	if err := before.ask(); err != nil {
		t.Errorf("the old connection: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("the old connection: %v", err)
	}
}

// TestRotationOfAuthorities moves both sides from one CA to another in the
// order of a migration: both CAs trusted, certificates replaced, old CA removed.
func TestRotationOfAuthorities(t *testing.T) {
	older, newer := newAuthority(t, "older", nil), newAuthority(t, "newer", nil)
	serverCert, serverKey := older.issue(t, 1, nil)
	clientCert, clientKey := older.issue(t, 2, nil)
	serverFiles := secret(t, serverCert, serverKey, older.PEM())
	clientFiles := secret(t, clientCert, clientKey, older.PEM())
	server, client := mustServer(t, serverFiles, nil), mustClient(t, clientFiles, "pluginzh", nil)
	check := func(step string) {
		t.Helper()
		if m := meet(t, client, server); m.clientErr != nil || m.serverErr != nil {
			t.Fatalf("%s: client %v, server %v", step, m.clientErr, m.serverErr)
		}
	}
	check("before")
	for _, files := range []Files{serverFiles, clientFiles} {
		put(t, files.CA, append(older.PEM(), newer.PEM()...), long)
	}
	check("both CAs trusted")
	cert, key := newer.issue(t, 3, nil)
	put(t, serverFiles.Cert, cert, long)
	put(t, serverFiles.Key, key, long)
	check("server replaced")
	old := mustClient(t, secret(t, clientCert, clientKey, newer.PEM()), "pluginzh", nil)
	cert, key = newer.issue(t, 4, nil)
	put(t, clientFiles.Cert, cert, long)
	put(t, clientFiles.Key, key, long)
	check("client replaced")
	for _, files := range []Files{serverFiles, clientFiles} {
		put(t, files.CA, newer.PEM(), long)
	}
	check("old CA removed")
	if m := meet(t, old, server); m.serverErr == nil || !strings.Contains(m.serverErr.Error(), "unknown authority") {
		t.Errorf("a client of the removed CA was let in: %v", m.serverErr)
	}
}

// volume is a Secret as the kubelet mounts it: files that are links into
// "..data", which links to a directory with the content and is the only thing
// that a change replaces.
type volume struct {
	dir     string
	version int
}

func (v *volume) publish(t *testing.T, content map[string][]byte) {
	t.Helper()
	v.version++
	target := fmt.Sprintf("..2026_%d", v.version)
	if err := os.Mkdir(filepath.Join(v.dir, target), 0o700); err != nil {
		t.Fatal(err)
	}
	stamp := time.Now().Add(-long).Truncate(time.Hour) // the same for every version
	for name, data := range content {
		path := filepath.Join(v.dir, target, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	old, _ := os.Readlink(filepath.Join(v.dir, "..data"))
	fresh := filepath.Join(v.dir, "..data_tmp")
	if err := os.Symlink(target, fresh); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, filepath.Join(v.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if old != "" {
		if err := os.RemoveAll(filepath.Join(v.dir, old)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range content {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSecretVolume replaces certificates under handshakes that run all the
// time: none fails, and at the end everyone gets the newest.
func TestSecretVolume(t *testing.T) {
	const versions = 20
	ca := newAuthority(t, "ca", nil)
	v := &volume{dir: t.TempDir()}
	publish := func(serial int64) {
		cert, key := ca.issue(t, serial, nil)
		v.publish(t, map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": ca.PEM()})
	}
	publish(1)
	files := Files{
		Cert: filepath.Join(v.dir, "tls.crt"), Key: filepath.Join(v.dir, "tls.key"), CA: filepath.Join(v.dir, "ca.crt"),
	}
	var log safeBuffer
	logger := hclog.New(&hclog.LoggerOptions{Output: &log})
	server, client := mustServer(t, files, logger), mustClient(t, files, "pluginzh", logger)

	stop := make(chan struct{})
	var callers wait.Group
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if m := meet(t, client, server); m.clientErr != nil || m.serverErr != nil {
					t.Errorf("client %v, server %v", m.clientErr, m.serverErr)
					return
				}
			}
		})
	}
	for serial := int64(2); serial <= versions; serial++ {
		publish(serial)
		if m := meet(t, client, server); m.clientErr != nil || m.serial() != serial {
			t.Errorf("version %d: %v", serial, m.clientErr)
		}
	}
	close(stop)
	callers.Wait()
	if strings.Contains(log.String(), "cannot be used") {
		t.Errorf("a swap was taken for a broken state:\n%s", log.String())
	}
}

func TestBrokenStateKeepsLastGood(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 1, nil)
	files := secret(t, cert, key, nil)
	var log bytes.Buffer
	server := mustServer(t, files, hclog.New(&hclog.LoggerOptions{Output: &log}))
	client := mustClient(t, secret(t, nil, nil, ca.PEM()), "pluginzh", nil)
	nextCert, nextKey := ca.issue(t, 2, nil)
	steps := []struct {
		reason   string
		change   func()
		serial   int64
		warnings int
		says     string
	}{
		{"Nothing changed.", func() {}, 1, 0, ""},
		{"A half-written certificate.", func() { put(t, files.Cert, nextCert[:100], long) }, 1, 1, "not PEM"},
		{"The new certificate with the old key.", func() { put(t, files.Cert, nextCert, long) }, 1, 2, "does not match"},
		{"The key follows.", func() { put(t, files.Key, nextKey, long) }, 2, 2, "TLS files read again"},
		{"The files are removed.", func() { os.Remove(files.Cert) }, 2, 3, "no such file"},
		{"They come back as they were.", func() { put(t, files.Cert, nextCert, long) }, 2, 3, ""},
		{"And break in the same way as before.", func() { os.Remove(files.Cert) }, 2, 4, "no such file"},
	}
	for _, step := range steps {
		step.change()
		for range 3 { // however many handshakes, one line
			if m := meet(t, client, server); m.clientErr != nil || m.serial() != step.serial {
				t.Fatalf("%s\nserial %d wanted: %v", step.reason, step.serial, m.clientErr)
			}
		}
		if n := strings.Count(log.String(), "[WARN]"); n != step.warnings || !strings.Contains(log.String(), step.says) {
			t.Errorf("%s\nwant %d warnings and %q in:\n%s", step.reason, step.warnings, step.says, log.String())
		}
	}
}

// TestChangeWithoutTrace writes a file in place, to the same size and with the
// same time stamp as before: within the stamp's resolution that can happen.
func TestChangeWithoutTrace(t *testing.T) {
	one, two := newAuthority(t, "ca", nil), newAuthority(t, "ca", nil)
	first, second := one.PEM(), two.PEM()
	for len(first) != len(second) { // a signature's length varies
		two = newAuthority(t, "ca", nil)
		second = two.PEM()
	}
	files := Files{CA: filepath.Join(t.TempDir(), "ca.crt")}
	stamp := time.Now()
	write := func(content []byte) {
		if err := os.WriteFile(files.CA, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(files.CA, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	write(first)
	s, err := newStore(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := s.get()
	write(second)
	if after := s.get(); after.authorities.Equal(before.authorities) {
		t.Error("the change was not seen")
	}
}

// TestUnchangedFilesAreNotReadAgain: a handshake costs a stat, not a parse.
func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 1, nil)
	s, err := newStore(secret(t, cert, key, ca.PEM()), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := s.get()
	// An unreadable file with the stamp and size of before would be found out
	// by reading it.
	info, err := os.Stat(s.files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.files.Cert, bytes.Repeat([]byte("x"), int(info.Size())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(s.files.Cert, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if s.get() != first || s.fault != "" {
		t.Error("the files were read again")
	}
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
