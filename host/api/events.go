// SPDX-License-Identifier: MPL-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
// which may be there several times, leaves out all other plugins. With follow=false the
// answer ends behind the first "plugins", and takes no place of those that follow.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	only, follow, err := eventsAsked(r.URL.Query())
	if err != nil {
		writeProblem(w, problem{Status: http.StatusBadRequest, Detail: err.Error()})
		return
	}
	stream := &stream{to: w, control: http.NewResponseController(w)}
	if !follow {
		stream.begin()
		_ = stream.send("plugins", s.look(only)) // whoever asked may have hung up
		return
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
	stream.begin()
	s.follow(r.Context(), stream, only)
}

// eventsAsked gives the plugins whose events a query asks for, which are all if it names
// none, and whether those that are to come are asked for too.
func eventsAsked(query url.Values) (only []string, follow bool, err error) {
	only = query["plugin"]
	for _, name := range only {
		if err := target.ValidateName(name); err != nil {
			return nil, false, fmt.Errorf("parameter plugin: %w", err)
		}
	}
	if !query.Has("follow") {
		return only, true, nil
	}
	follow, err = strconv.ParseBool(query.Get("follow"))
	if err != nil {
		return nil, false, fmt.Errorf("parameter follow: %q: want true or false", printable.Clip(query.Get("follow"), printable.MaxText))
	}
	return only, follow, nil
}

// follow sends what there is and then what changes, until the reader or the server leaves.
func (s *Server) follow(ctx context.Context, to *stream, only []string) {
	changes := s.opts.Daemon.Subscribe(eventBuffer)
	defer changes.Close()
	now := s.look(only)
	if to.send("plugins", now) != nil {
		return
	}
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			return
		case <-beat.C:
			err = to.write([]byte(": alive\n\n"))
		case e, open := <-changes.C():
			if !open {
				return
			}
			if e.Generation > now.Generation && isAmong(only, e.Plugin) {
				err = to.send("change", e)
			}
		}
		if err == nil && changes.CatchUp() {
			now = s.look(only)
			err = to.send("plugins", now)
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

// begin sets the header, before anything is sent.
func (s *stream) begin() {
	s.to.Header().Set("Content-Type", "text/event-stream")
	s.to.Header().Set("Cache-Control", "no-store")
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
