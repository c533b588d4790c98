// SPDX-License-Identifier: MPL-2.0

package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	minToken = 16 // bytes
	maxToken = 4 << 10
)

var (
	errNoToken    = errors.New("this host takes calls with a bearer token only: send Authorization: Bearer TOKEN")
	errWrongToken = errors.New("the bearer token is not the one that this host has")
)

// token is a bearer token in a file that may be replaced at any time.
type token struct {
	path string

	mu       sync.Mutex
	modified time.Time
	size     int64
	hash     [sha256.Size]byte
}

func newToken(path string) (*token, error) {
	t := &token{path: path}
	if err := t.refresh(); err != nil {
		return nil, fmt.Errorf("read token file: %w", err)
	}
	return t, nil
}

// check compares an Authorization header with the token that the file has now. A
// file that is being replaced, or is gone, leaves the last token in force.
func (t *token) check(header string) error {
	scheme, given, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return errNoToken
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.refresh()
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	if subtle.ConstantTimeCompare(hash[:], t.hash[:]) != 1 {
		return errWrongToken
	}
	return nil
}

// refresh reads the file if it looks different.
func (t *token) refresh() error {
	info, err := os.Stat(t.path)
	if err != nil {
		return err
	}
	if info.ModTime().Equal(t.modified) && info.Size() == t.size {
		return nil
	}
	if info.Size() > maxToken {
		return fmt.Errorf("%s has %d bytes: a token has at most %d", t.path, info.Size(), maxToken)
	}
	raw, err := os.ReadFile(t.path)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(raw))
	if len(text) < minToken {
		return fmt.Errorf("%s holds a token of %d bytes: it needs at least %d", t.path, len(text), minToken)
	}
	t.modified, t.size, t.hash = info.ModTime(), info.Size(), sha256.Sum256([]byte(text))
	return nil
}
