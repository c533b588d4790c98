// SPDX-License-Identifier: MPL-2.0

package api

import (
	"fmt"
	"net/http"
	"strconv"
)

// history tells how the calls of all plugins fared within the last hour.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	if since, ok := sinceOf(w, r); ok {
		writeJSON(w, http.StatusOK, s.opts.Daemon.History(since))
	}
}

// pluginHistory tells the same of one plugin, method by method.
func (s *Server) pluginHistory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, known := s.opts.Daemon.Plugin(name); !known {
		writeProblem(w, s.unknownPlugin(name))
		return
	}
	if since, ok := sinceOf(w, r); ok {
		writeJSON(w, http.StatusOK, s.opts.Daemon.PluginHistory(name, since))
	}
}

// sinceOf reads the number of the first slot that is asked for. If it is none, that is
// answered.
func sinceOf(w http.ResponseWriter, r *http.Request) (since uint64, ok bool) {
	text := r.URL.Query().Get("since")
	if text == "" {
		return 0, true
	}
	since, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		writeProblem(w, problem{Status: http.StatusBadRequest, Type: typeArguments,
			Detail: fmt.Sprintf("since=%q: want the member slot of an earlier answer", text)})
	}
	return since, err == nil
}
