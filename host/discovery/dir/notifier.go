// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"io/fs"
	"os"

	"github.com/fsnotify/fsnotify"
)

// notifier gives hints that the directory has changed. Where the operating
// system gives none, it is silent: the rescan finds everything, only later.
type notifier struct {
	dir     string
	watcher *fsnotify.Watcher // nil if there are no notifications
	watched fs.FileInfo       // the directory that is watched, nil for none

	// events and errors are those of watcher. An error, such as too many events at
	// once, is a hint as well.
	events chan fsnotify.Event
	errors chan error
}

func newNotifier(opts Options) *notifier {
	n := &notifier{dir: opts.Dir}
	if opts.PollOnly {
		return n
	}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		n.watcher, n.events, n.errors = watcher, watcher.Events, watcher.Errors
	}
	return n
}

// follow watches whatever directory is there now, which may be another one
// than before under the same name.
func (n *notifier) follow() {
	if n.watcher == nil {
		return
	}
	now, err := os.Stat(n.dir)
	if err == nil && n.watched != nil && os.SameFile(now, n.watched) {
		return
	}
	if n.watched != nil {
		n.watched = nil
		// It fails if the directory was removed, as its watch went with it.
		_ = n.watcher.Remove(n.dir)
	}
	if err == nil && n.watcher.Add(n.dir) == nil {
		n.watched = now
	}
}

// close ends the notifier's goroutine.
func (n *notifier) close() {
	if n.watcher != nil {
		_ = n.watcher.Close()
	}
}
