// SPDX-License-Identifier: MPL-2.0

package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	minToken = 16 // bytes
	maxToken = 4 << 10
)

var (
	errNoToken    = errors.New("this host takes calls with a bearer token only: send Authorization: Bearer TOKEN")
	errWrongToken = errors.New("the bearer token is not the one that this host has")
)

// token is a bearer token in a file that may be replaced at any time. A file that is
// being replaced must not turn callers away, so what cannot be used leaves the last
// token in force; it is logged, and told as a metric, for as long as it is so.
type token struct {
	path   string
	logger hclog.Logger

	mu      sync.Mutex
	hash    [sha256.Size]byte
	problem string // why the file cannot be used, as the log has it
	open    bool   // others may read it, and the log says so
}

func newToken(path string, logger hclog.Logger) (*token, error) {
	t := &token{path: path, logger: logger}
	hash, mode, err := t.read()
	if err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	t.hash = hash
	t.warnOfReaders(mode)
	return t, nil
}

// usable tells whether the file holds a token now, whenever metrics are gathered.
func (t *token) usable() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "reattach", Name: "http_token_file_usable",
		Help: "Whether the file of the bearer token holds one: 0 while an earlier token is still in force.",
	}, func() float64 {
		if _, err := t.current(); err != nil {
			return 0
		}
		return 1
	})
}

// check compares an Authorization header with the token that the file has now.
func (t *token) check(header string) error {
	scheme, given, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return errNoToken
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	now, _ := t.current() // it has logged what it did not like
	if subtle.ConstantTimeCompare(hash[:], now[:]) != 1 {
		return errWrongToken
	}
	return nil
}

// current gives the hash of the token in force, and what is wrong with the file. It
// reads the file each time: size and time of two tokens may be the same.
func (t *token) current() ([sha256.Size]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hash, mode, err := t.read()
	if err != nil {
		if text := err.Error(); text != t.problem {
			t.logger.Warn("the token file cannot be used: the last token stays in force", "file", t.path, "error", text)
			t.problem = text
		}
		return t.hash, err
	}
	if t.problem != "" {
		t.logger.Info("the token file can be used again", "file", t.path)
		t.problem = ""
	}
	t.warnOfReaders(mode)
	t.hash = hash
	return hash, nil
}

// warnOfReaders logs once that the file is open to others.
func (t *token) warnOfReaders(mode fs.FileMode) {
	open := mode&0o004 != 0
	if open && !t.open {
		t.logger.Warn("every user of this machine may read the token file", "file", t.path, "mode", mode.String(),
			"advice", "chmod o-r, or defaultMode: 0440 in the volume of a Secret")
	}
	t.open = open
}

// control reports whether a character is one that no HTTP header can carry.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// read gives the hash of the file's token, and the permissions of the file.
func (t *token) read() (hash [sha256.Size]byte, mode fs.FileMode, err error) {
	info, err := os.Stat(t.path)
	if err != nil {
		return hash, 0, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return hash, 0, fmt.Errorf("%s is not a regular file", t.path)
	}
	file, err := os.Open(t.path)
	if err != nil {
		return hash, 0, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return hash, 0, err
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case len(raw) > maxToken:
		err = fmt.Errorf("%s has more than %d bytes, which is the most that a token may have", t.path, maxToken)
	case len(text) < minToken:
		err = fmt.Errorf("%s holds a token of %d bytes: it needs at least %d", t.path, len(text), minToken)
	case strings.ContainsFunc(text, control):
		err = fmt.Errorf("%s holds more than a token on one line: no HTTP header can carry that", t.path)
	}
	return sha256.Sum256([]byte(text)), info.Mode().Perm(), err
}
