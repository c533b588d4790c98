// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// settleTime is how old a file must be for its time stamp to be trusted:
	// within the stamp's resolution, a file can change and keep its stamp.
	settleTime = 2 * time.Second
	// loadTries is how often a set of files is read that is being replaced
	// while it is read.
	loadTries = 3
)

// store holds the newest usable content of a set of files.
type store struct {
	files  Files
	logger hclog.Logger

	mu      sync.Mutex
	good    *material
	seen    identity // what was read last, usable or not
	settled bool     // seen is old enough to tell a change
	fault   string   // why seen is not usable, as logged
}

// newStore reads the files for the first time, when every problem is an error that
// does not pass by itself.
func newStore(files Files, logger hclog.Logger) (*store, error) {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	s := &store{files: files, logger: logger}
	m, seen, err := s.first(time.Sleep)
	if err != nil {
		return nil, err
	}
	s.good, s.seen, s.settled = m, seen, seen.settled(time.Now())
	m.warnExpiry(logger, files.cert(), time.Now())
	return s, nil
}

// get returns what the files hold now, or held when they were last usable. It
// costs a stat per file. It may be called from any goroutine.
func (s *store) get() *material {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled || !s.seen.same(identify(s.files)) {
		s.refresh()
	}
	s.good.warnExpiry(s.logger, s.files.cert(), time.Now())
	return s.good
}

// refresh reads the files again.
func (s *store) refresh() {
	m, seen, err := s.read()
	changed := !s.seen.same(seen)
	s.seen, s.settled = seen, seen.settled(time.Now())
	if err != nil {
		if changed || err.Error() != s.fault {
			s.logger.Warn("changed TLS files cannot be used; the last good ones stay in force", "error", err)
		}
		s.fault = err.Error()
		return
	}
	s.fault = ""
	if m.same(s.good) {
		return
	}
	s.logger.Info("TLS files read again", s.describe(m)...)
	s.good = m
}

func (s *store) describe(m *material) []any {
	if m.pair == nil || m.pair.Leaf == nil {
		return []any{"setting", s.files.ca().name, "file", s.files.CA}
	}
	return []any{"setting", s.files.cert().name, "file", s.files.Cert,
		"serial", m.pair.Leaf.SerialNumber.Text(16), "not_after", m.pair.Leaf.NotAfter}
}

// read loads the files, and once more when they were replaced meanwhile: a
// certificate from before and a key from after do not belong together.
func (s *store) read() (m *material, seen identity, err error) {
	for range loadTries {
		seen = identify(s.files)
		m, err = load(s.files)
		if seen.same(identify(s.files)) {
			break
		}
	}
	return m, seen, err
}

// identity tells one state of the files from another. A file that cannot be
// examined is nil.
type identity [3]os.FileInfo

// identify follows symbolic links: a Secret's files are links through a
// directory "..data", which is itself a link and the only thing that changes.
func identify(files Files) (id identity) {
	for i, path := range []string{files.Cert, files.Key, files.CA} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			id[i] = info
		}
	}
	return id
}

func (id identity) same(other identity) bool {
	for i, a := range id {
		b := other[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && !(os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())) {
			return false
		}
	}
	return true
}

// settled says whether a later change would be seen in the time stamps.
func (id identity) settled(now time.Time) bool {
	for _, info := range id {
		if info != nil && now.Sub(info.ModTime()) < settleTime {
			return false
		}
	}
	return true
}
