// SPDX-License-Identifier: MPL-2.0

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

// eventBuffer is how many events may wait for one reader.
const eventBuffer = 256

// begin is how a stream of events begins: with all there is, and with what is kept of what
// happened before, the oldest first.
type begin struct {
	daemon.Found
	Earlier []daemon.Past `json:"earlier"`
}

// events streams what changes as server-sent events: "plugins" with all there is,
// then a "change" for each event that is newer. Whoever reads too slowly to be told of each
// is sent "plugins" anew. A comment line comes when nothing else does. The parameter plugin,
// which may be there several times, leaves out all other plugins.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	only := r.URL.Query()["plugin"]
	for _, name := range only {
		if err := target.ValidateName(name); err != nil {
			writeProblem(w, problem{Status: http.StatusBadRequest, Detail: "parameter plugin: " + err.Error()})
			return
		}
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		writeProblem(w, problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("%d event streams are open already", s.opts.MaxStreams)})
		return
	}
	defer connectionOf(r).keep()()
	changes := s.opts.Daemon.Subscribe(eventBuffer)
	defer changes.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := &stream{to: w, control: http.NewResponseController(w)}
	now := s.look(only)
	if stream.send("plugins", now) != nil {
		return
	}
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		case <-beat.C:
			err = stream.write([]byte(": alive\n\n"))
		case e, open := <-changes.C():
			if !open {
				return
			}
			if e.Generation > now.Generation && isAmong(only, e.Plugin) {
				err = stream.send("change", e)
			}
		}
		if err == nil && changes.CatchUp() {
			now = s.look(only)
			err = stream.send("plugins", now)
		}
		if err != nil {
			return
		}
	}
}

// look gives all that is known of some plugins, or of all if none is named.
func (s *Server) look(only []string) begin {
	found, past := s.opts.Daemon.Look()
	found.Plugins = slices.DeleteFunc(found.Plugins, func(p daemon.Plugin) bool { return !isAmong(only, p.Name) })
	found.Problems = slices.DeleteFunc(found.Problems, func(p target.Problem) bool { return !isAmong(only, p.Plugin) })
	past = slices.DeleteFunc(append([]daemon.Past{}, past...), func(e daemon.Past) bool { return !isAmong(only, e.Plugin) })
	return begin{found, past}
}

// isAmong reports whether a plugin is one of those that are named, if any are.
func isAmong(only []string, plugin string) bool {
	return len(only) == 0 || slices.Contains(only, plugin)
}

// stream writes server-sent events, each at once.
type stream struct {
	to      http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) send(name string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", name, printable.JSON(raw))
	return s.write(b.Bytes())
}

func (s *stream) write(raw []byte) error {
	if _, err := s.to.Write(raw); err != nil {
		return err
	}
	return s.control.Flush()
}
