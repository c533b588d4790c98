// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// started is a store whose pauses are calls of pause, which counts them.
func started(files Files, log *bytes.Buffer, pause func(count int)) (m *material, pauses int, err error) {
	s := &store{files: files, logger: hclog.New(&hclog.LoggerOptions{Output: log})}
	m, _, err = s.first(func(time.Duration) {
		pauses++
		pause(pauses)
	})
	return m, pauses, err
}

// TestStartAmidRotation starts with the new certificate beside the old key, whose
// successor is written while the store waits.
func TestStartAmidRotation(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	_, oldKey := ca.issue(t, 1, nil)
	cert, key := ca.issue(t, 2, nil)
	files := secret(t, cert, oldKey, ca.PEM())
	put(t, files.Cert, cert, 0)
	var log bytes.Buffer
	m, pauses, err := started(files, &log, func(count int) {
		switch count {
		case 2: // half of the key
			put(t, files.Key, key[:len(key)/2], 0)
		case 3:
			put(t, files.Key, key, 0)
		}
	})
	if err != nil || pauses != 3 || m.pair.Leaf.SerialNumber.Int64() != 2 {
		t.Fatalf("after %d pauses: %+v, %v; want the second pair after 3", pauses, m, err)
	}
	if n := strings.Count(log.String(), "does not match"); n != 1 || strings.Contains(log.String(), "[WARN]") {
		t.Errorf("%d lines of the log say what does not match, want one, and no warning:\n%s", n, log.String())
	}
}

// TestStartWithBrokenFiles has files that nobody mends: those that have lain there are
// an error at once, and those that are written all the time are one in the end.
func TestStartWithBrokenFiles(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 1, nil)
	_, otherKey := ca.issue(t, 2, nil)
	for name, c := range map[string]struct {
		age    time.Duration
		key    []byte
		pauses int
		want   string
	}{
		"Old":     {long, otherKey, 0, "does not match"},
		"Good":    {0, key, 0, ""},
		"Written": {0, otherKey, int(startTime / startPause), "read again for 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			files := secret(t, cert, c.key, nil)
			put(t, files.Key, c.key, c.age)
			var log bytes.Buffer
			_, pauses, err := started(files, &log, func(int) { put(t, files.Key, c.key, c.age) })
			if pauses != c.pauses || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d pauses and %v, want %d and %q", pauses, err, c.pauses, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), "does not match") {
				t.Errorf("the cause is missing: %v", err)
			}
		})
	}
}

// TestBundle has key and chain in one file, as Kubernetes writes those of a pod.
func TestBundle(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	bundle := func(serial int64) []byte {
		cert, key := ca.issue(t, serial, nil)
		return append(bytes.Clone(key), cert...)
	}
	files := secret(t, bundle(1), nil, ca.PEM())
	files.Key = files.Cert
	server, client := mustServer(t, files, nil), mustClient(t, files, "pluginzh", nil)
	for serial := int64(1); serial <= 2; serial++ {
		put(t, files.Cert, bundle(serial), long)
		if m := meet(t, client, server); m.clientErr != nil || m.serverErr != nil || m.serial() != serial {
			t.Errorf("the pair %d of one file: client %v, server %v", serial, m.clientErr, m.serverErr)
		}
	}
}
