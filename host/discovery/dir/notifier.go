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
	dir string
	// watcher has nil channels if there are no notifications. An error of it, such as too
	// many events at once, is a hint as well.
	watcher *fsnotify.Watcher
	off     bool
	watched fs.FileInfo // the directory that is watched, nil for none
}

func newNotifier(opts Options) *notifier {
	n := &notifier{dir: opts.Dir, watcher: new(fsnotify.Watcher), off: true}
	if opts.PollOnly {
		return n
	}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		n.watcher, n.off = watcher, false
	}
	return n
}

// follow watches whatever directory is there now, which may be another one
// than before under the same name.
func (n *notifier) follow() {
	if n.off {
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
	if !n.off {
		_ = n.watcher.Close()
	}
}
